"""Other people's readers see the same keys, the same number of samples and the same pixels."""

import gc
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset as wds
from torch.utils.data import DataLoader

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import as_torch_dataset, as_webdataset, open_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards

# WebDataset leaves files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEYS = [f"{i:010d}" for i in range(50)]


def described(indices: np.ndarray) -> dict[str, list]:
    """What the samples of a labelled set are said to show."""
    return {
        "class": (indices % 7).tolist(),
        "prompt": [f"a ćat number {i}" for i in indices],
        "guidance": [2.5] * len(indices),
    }


def labels() -> list[tuple[int, str]]:
    """The class and the prompt of each sample of a labelled set."""
    found = described(np.arange(50))
    return list(zip(found["class"], found["prompt"], strict=True))


@pytest.fixture(params=[1, 2, 3, "labelled"], ids=["single", "pairs", "groups", "labelled"])
def path(request: pytest.FixtureRequest, make_set) -> Path:
    if request.param == "labelled":
        return make_set(images_per_sample=2, describe=described, labels=["cls", "txt"])
    return make_set(images_per_sample=request.param)


@pytest.fixture
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


def test_tarfile(path: Path) -> None:
    names = []
    for tar in sorted(path.glob("*.tar")):
        with tarfile.open(tar) as file:
            names += file.getnames()
    assert sorted({name.split(".")[0] for name in names}) == KEYS
    manifest = open_shard_set(path).locator.manifest
    assert len(names) == 50 * (manifest.views_per_sample + len(manifest.labels))


@pytest.mark.usefixtures("collect_garbage")
def test_webdataset_unchanged(path: Path, render) -> None:
    tars = [str(tar) for tar in sorted(path.glob("*.tar"))]
    samples = list(wds.WebDataset(tars, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == KEYS
    views = open_shard_set(path).views_per_sample
    for extension, view in [("png", 0)] if views == 1 else [(f"view{view}.png", view) for view in range(views)]:
        pixels = np.stack([sample[extension] for sample in samples]).transpose(0, 3, 1, 2)
        assert (pixels == render(np.arange(50), views)[:, view]).all()
    if open_shard_set(path).locator.manifest.labels:
        assert [(sample["cls"], sample["txt"]) for sample in samples] == labels()


@pytest.mark.usefixtures("collect_garbage")
def test_hugging_face_datasets_unchanged(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, render) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    datasets.disable_progress_bars()
    views = open_shard_set(path).views_per_sample
    column = "png" if views == 1 else "view0.png"
    for options in ({"data_files": str(path / "*.tar")}, {"data_dir": str(path)}):
        data = datasets.load_dataset("webdataset", split="train", cache_dir=str(tmp_path / "cache"), **options)
        assert sorted(data["__key__"]) == KEYS
        row = data[7]
        assert (
            np.asarray(row[column]).transpose(2, 0, 1) == render(np.array([int(row["__key__"])]), views)[0, 0]
        ).all()
        if open_shard_set(path).locator.manifest.labels:
            assert list(zip(data["cls"], data["txt"], strict=True)) == labels()


@pytest.mark.usefixtures("collect_garbage")
def test_as_webdataset(path: Path, render) -> None:
    views = open_shard_set(path).views_per_sample
    samples = list(as_webdataset(path))
    assert [sample["__key__"] for sample in samples] == KEYS
    first = samples[3]["png" if views == 1 else f"view{views - 1}.png"]
    assert first.dtype == torch.uint8 and (first.numpy() == render(np.array([3]), views)[0, -1]).all()
    assert isinstance(next(iter(as_webdataset(path, decode=None)))["png" if views == 1 else "view0.png"], bytes)
    if open_shard_set(path).locator.manifest.labels:
        assert [(sample["cls"], sample["txt"]) for sample in samples] == labels()


@pytest.mark.usefixtures("collect_garbage")
def test_as_webdataset_decodes_the_classes_of_adopted_tars(tmp_path: Path, png, write_tar) -> None:
    classes = {"a": b"3", "b": b" 12\n", "c": b"cat", "d": b"-1"}
    members = {f"{key}.{end}": data for key, text in classes.items() for end, data in (("png", png(1)), ("cls", text))}
    write_tar(tmp_path / "s" / "a.tar", {**members, "d.json": b"{}"})
    index_shards(tmp_path / "s")
    samples = list(as_webdataset(tmp_path / "s"))
    assert [sample["cls"] for sample in samples] == [3, 12, "cat", -1]
    assert samples[0]["png"].shape == (3, 8, 8) and samples[3]["json"] == b"{}"


def test_as_webdataset_checks_first(path: Path) -> None:
    (path / "000001.tar").unlink()
    with pytest.raises(DataError, match=r"000001\.tar"):
        as_webdataset(path)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on one core
@pytest.mark.parametrize("workers", [0, 2])
def test_as_torch_dataset(path: Path, render, workers: int) -> None:
    dataset = as_torch_dataset(path, where="sample_index >= 10")
    loader = DataLoader(dataset, batch_size=16, num_workers=workers)
    views = open_shard_set(path).views_per_sample
    seen = []
    for images, indices in loader:
        expected = render(indices.numpy(), views)
        assert (images.numpy() == (expected[:, 0] if views == 1 else expected)).all()
        seen += indices.tolist()
    assert seen == list(range(10, 50)) and len(dataset) == 40
