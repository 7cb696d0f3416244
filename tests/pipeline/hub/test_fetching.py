"""Fetching: the files of the first kind there is, nothing that runs code, and from the cache where there is no hub."""

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.hub.fetching import MODEL_FILES, fetch

KINDS = (("*.tar", "*.tar.idx"), ("*.parquet",))


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("files", "path", "wanted"),
    [
        (["0.tar", "b.parquet", "c.py"], "", ["0.tar"]),
        (["a/0.parquet", "b/1.parquet", "README.md"], "", ["a/0.parquet", "b/1.parquet"]),
        (["a/0.parquet", "a/c/2.parquet", "b/1.parquet"], "a", ["0.parquet", "c/2.parquet"]),
    ],
)
def test_the_first_kind_that_there_is(hub, files, path, wanted):
    hub.put("dataset", "me/set", {name: name.encode() for name in files})
    found = fetch(f"hf://datasets/me/set{'/' if path else ''}{path}", KINDS, "data")
    assert names(found) == wanted
    assert not any(name.endswith(".py") for name in hub.fetched)


@pytest.mark.parametrize("path", ["data/train-0.parquet", "data/train-*"])
def test_a_file_and_a_pattern_are_left_to_the_caller(hub, path):
    names = ["data/train-0.parquet", "data/train-1.parquet", "data/test-0.parquet"]
    hub.put("dataset", "me/set", {name: b"%d" % i for i, name in enumerate(names)})
    found = fetch(f"hf://datasets/me/set/{path}", KINDS, "data")
    here = [file.read_bytes() for file in sorted(found.parent.glob(found.name))]
    assert here == ([b"0", b"1"] if "*" in path else [b"0"])
    assert not any("test" in name for name in hub.fetched)


def test_it_is_asked_for_once_in_a_process(hub):
    hub.put("dataset", "me/set", {"0.tar": b"0"})
    first = fetch("hf://datasets/me/set", KINDS, "data")
    hub.put("dataset", "me/set", {"0.tar": b"1"})
    assert fetch("hf://datasets/me/set", KINDS, "data") == first and (first / "0.tar").read_bytes() == b"0"


def test_without_a_hub_the_cache_serves(hub, monkeypatch):
    hub.put("dataset", "me/set", {"0.tar": b"0"})
    first = fetch("hf://datasets/me/set", KINDS, "data")
    fetch.cache_clear()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert fetch("hf://datasets/me/set", KINDS, "data") == first
    with pytest.raises(DataError, match="cannot read hf://datasets/me/other"):
        fetch("hf://datasets/me/other", KINDS, "data")


@pytest.mark.parametrize(
    ("files", "kinds", "message"),
    [
        (["set.py", "data.pkl"], KINDS, "holds no data; it has data.pkl, set.py, but neither code nor pickles"),
        (["pytorch_model.bin"], (MODEL_FILES,), "it has pytorch_model.bin, but neither code nor pickles"),
        (["README.md"], KINDS, "it has README.md"),
        ([], KINDS, "holds no data"),
    ],
)
def test_what_is_no_data_is_refused_and_not_fetched(hub, files, kinds, message):
    kind = "model" if kinds == (MODEL_FILES,) else "dataset"
    hub.put(kind, "me/set", {name: name.encode() for name in files})
    with pytest.raises(DataError, match=message):
        fetch(f"hf://{kind}s/me/set", kinds, "data")
    assert hub.fetched == []
