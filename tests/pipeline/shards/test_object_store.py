"""Sets in an object store that fails in every way: what is there in the end is what a folder would hold."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import ShardRecorder, open_shard_set, write_shard_set
from synthcl.pipeline.shards.object_store import RemoteWritableSet, find_sets
from synthcl.pipeline.shards.publish import TemporaryFile
from synthcl.pipeline.shards.side_tables import write_side_table
from synthcl.pipeline.shards.status import find_shard_sets, summarize
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards

URL = "s3://bucket/set"
MANIFEST, SIDECAR, TAR = ".synthcl/shardset.json", ".synthcl/000001.parquet", "000001.tar"
RECIPE = {"seed": 3, "weights": "abc"}


@pytest.fixture
def write(render) -> Callable[..., Any]:
    def call(place: object = URL, num_samples: int = 30, **options: Any) -> Any:
        return write_shard_set(str(place), options.pop("recipe", RECIPE), num_samples, 20, render, workers=0, **options)

    return call


@pytest.fixture
def expected(write, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """The files of the set in a folder."""

    def call(num_samples: int = 30) -> dict[str, bytes]:
        folder = tmp_path / f"local-{num_samples}"
        write(folder, num_samples)
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return call


@pytest.fixture
def fail(store) -> Callable[..., list[str]]:
    """Inject a fault into some of the requests that fit, by default the first; the list of those that had it."""

    def call(fault: str, method: str, name: str, which: range = range(1)) -> list[str]:
        number, injected = itertools.count(), []

        def choose(asked: str, path: str) -> str | None:
            if asked != method or not path.endswith(name) or next(number) not in which:
                return None
            injected.append(path)
            return fault

        store.choose = choose
        return injected

    return call


def test_a_set_is_that_of_a_folder(store, write, expected, tmp_path: Path, render) -> None:
    info = write()
    assert info.complete and info.path == URL and (info.written, info.existing) == (30, 0)
    assert store.objects("set/") == expected()
    names = [path.removeprefix("/bucket/set/") for method, path in store.requests if method == "PUT"]
    order = ["000000.tar", ".synthcl/000000.parquet", TAR, SIDECAR]
    assert names == [MANIFEST, *order, MANIFEST]
    assert write().reused and [m for m, _ in store.requests].count("PUT") == 6
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    shards = open_shard_set(URL)
    assert (shards.read_views(np.arange(30)).numpy() == render(np.arange(30))).all() and shards.info.path == URL


def test_a_set_grows_and_jobs_share_it(store, write, expected) -> None:
    write()
    assert not write(num_samples=70, process_index=1, num_processes=2).complete
    assert summarize(URL)["state"] == "partial" and summarize(URL)["num_published"] == 50
    assert write(num_samples=70, process_index=0, num_processes=2).complete
    assert store.objects("set/") == expected(70)
    with pytest.raises(UsageError, match=rf"--out {URL} holds a shard set of another recipe"):
        write(num_samples=70, recipe={"seed": 4})
    with pytest.raises(UsageError, match="more than the 30 asked for"):
        write()


PASSING = [
    ("error", TAR), ("busy", SIDECAR), ("error after", MANIFEST), ("closed", TAR), ("lost answer", SIDECAR),
    *itertools.product(("cut upload", "flipped upload"), (TAR, SIDECAR, MANIFEST)),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "name"), PASSING)
def test_a_fault_in_an_upload(store, write, expected, fail, fault: str, name: str) -> None:
    store.checks = name != SIDECAR  # a store that does not look at checksums tells its own
    injected = fail(fault, "PUT", name)
    assert write().complete and injected
    assert store.objects("set/") == expected()


@pytest.mark.parametrize(("fault", "method", "name"), [
    ("silent", "PUT", TAR), ("late", "PUT", SIDECAR), ("closed", "HEAD", TAR), ("error", "HEAD", MANIFEST),
    ("cut download", "GET", SIDECAR), ("error", "GET", MANIFEST),
])  # fmt: skip
def test_a_fault_in_another_request(store, write, expected, fail, fault: str, method: str, name: str) -> None:
    injected = fail(fault, method, name)
    assert write().complete and injected
    assert store.objects("set/") == expected()


@pytest.mark.parametrize(("fault", "name"), [("error", TAR), ("closed", SIDECAR), ("cut upload", SIDECAR)])
def test_a_fault_that_stays_ends_in_a_sentence_and_the_same_call_goes_on(
    store, write, expected, fail, fault: str, name: str
) -> None:
    fail(fault, "PUT", name, range(1000))
    with pytest.raises(
        DataError, match=rf"^cannot write {URL}/{name}: .* tried 5 times\. .* the same command continues"
    ):
        write()
    row = summarize(URL)
    assert row["state"] == "partial" and row["num_published"] == 20
    with pytest.raises(DataError, match="not complete"):
        open_shard_set(URL)
    store.choose = lambda method, path: None
    assert write().written == 10 and store.objects("set/") == expected()


def test_a_refusal_is_told_at_once(store, write, expected, fail) -> None:
    injected = fail("refused", "PUT", TAR, range(1000))
    with pytest.raises(DataError, match=rf"^cannot write {URL}/{TAR}: access is refused \(.*AccessDenied.*credentials"):
        write()
    assert len(injected) == 1
    store.choose = lambda method, path: None
    assert write().complete and store.objects("set/") == expected()


def test_without_credentials(store, write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(DataError, match=rf"^cannot .* {URL}/.*: access is refused \(NoCredentialsError .*; check"):
        write()
    assert store.requests == []


def test_a_bucket_that_is_not_there(store, write) -> None:
    with pytest.raises(
        DataError, match=r"cannot write s3://elsewhere/set/.*bucket does not exist; make the bucket first"
    ):
        write("s3://elsewhere/set")


@pytest.mark.parametrize("shown", [-1, 1000])
def test_a_store_that_lies_about_sizes_is_noticed(store, write, shown: int) -> None:
    def lie(path: str, headers: dict[str, str]) -> None:
        asked = store.requests[-1][0]
        if asked == "HEAD" and path.endswith(".tar") and headers.get("Content-Length") and "ETag" in headers:
            headers["Content-Length"] = str(int(headers["Content-Length"]) + shown)

    store.lie = lie
    with pytest.raises(
        DataError, match=rf"^cannot write {URL}/000000.tar: OSError the store says that it has .* bytes"
    ):
        write()
    assert ".synthcl/000000.parquet" not in store.objects("set/")


def test_an_etag_that_is_no_checksum(store, write, expected) -> None:
    def encrypted(path: str, headers: dict[str, str]) -> None:
        headers.update({name: '"0123456789abcdef0123456789abcdef"' for name in headers if name == "ETag"})

    store.lie = encrypted
    assert write().complete and store.objects("set/") == expected()
    assert ("GET", "/bucket/set/000001.tar") in store.requests


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_another_machine_writes_the_same_shard(store, write, expected, conditions: bool, same: bool) -> None:
    store.conditions = conditions
    files = expected()
    other = files[TAR] if same else files[TAR].swapcase()

    def race(method: str, path: str) -> None:
        """Just before the upload, or, where that cannot be noticed, before the look that comes before it."""
        if path.endswith(TAR) and method == ("PUT" if conditions else "HEAD"):
            store.choose = lambda method, path: None
            store.put(f"set/{TAR}", other)

    store.choose = race
    if same:
        assert write().complete and store.objects("set/") == files
    else:
        with pytest.raises(DataError, match=rf"{URL}/{TAR} is there already, and holds something else"):
            write()
        assert store.objects("set/")[TAR] == other and SIDECAR not in store.objects("set/")


@pytest.mark.parametrize("name", ["begun", "000000.tar", SIDECAR, MANIFEST])
def test_what_a_cut_upload_left_is_written_anew(store, write, expected, name: str) -> None:
    files = expected()
    write(process_index=3, num_processes=4)
    (begun,) = store.objects("set/").values()
    for length in (0, 100):
        store.empty()
        if name != "begun":
            # All that is uploaded before is there.
            order = ["000000.tar", ".synthcl/000000.parquet", TAR, SIDECAR, MANIFEST]
            for before, data in [(MANIFEST, begun), *((other, files[other]) for other in order[: order.index(name)])]:
                store.put(f"set/{before}", data)
        cut = MANIFEST if name == "begun" else name
        store.put(f"set/{cut}", (begun if name == "begun" else files[name])[:length])
        assert write().complete and store.objects("set/") == files


def test_something_else_is_not_taken_for_a_set(store, write, expected) -> None:
    store.put("set/notes.txt", b"mine")
    with pytest.raises(DataError, match=rf"--out {URL} is not empty and holds no shard set \(it has notes.txt\)"):
        write()
    store.empty()
    write()
    store.put(f"set/{TAR}", b"short")
    with pytest.raises(
        DataError, match=rf"{URL}/{TAR} is cut short: it has 5 bytes, and .*`synthcl shards verify {URL}`"
    ):
        write()


def test_verify_reads_the_store_and_not_the_cache(store, write, expected) -> None:
    files = expected()
    write()
    open_shard_set(URL).read_views(np.arange(30))  # the cache has all
    assert verify_shard_set(URL, decode=True).to_dict() == {"ok": True, "num_samples": 30, "errors": []}
    flipped = bytearray(files[TAR])
    flipped[700] ^= 4
    for name, data, error in (
        (TAR, bytes(flipped), "is damaged"),
        (TAR, files[TAR][:-2048], f"{URL}/{TAR} has"),
        (SIDECAR, files[SIDECAR][:-9], f"{URL}/{SIDECAR} is damaged"),
        ("000007.tar", files[TAR], f"{URL}/000007.tar is not in the set's manifest"),
        (MANIFEST, b"{}", "is no shard set"),
    ):
        store.put(f"set/{name}", data)
        report = verify_shard_set(URL)
        assert not report.ok and error in " ".join(problem.error for problem in report.errors)
        store.put(f"set/{name}", files.get(name, b""))


def test_sets_are_found(store, write) -> None:
    write("s3://bucket/a/one")
    write("s3://bucket/two", process_index=0, num_processes=2)
    store.put("a/notes.txt", b"")
    assert find_shard_sets("s3://bucket/") == ["s3://bucket/a/one", "s3://bucket/two"]
    assert find_sets("s3://bucket/two") == ["s3://bucket/two"]
    assert [summarize(url)["state"] for url in find_sets("s3://bucket")] == ["complete", "partial"]
    assert summarize("s3://bucket/a/one")["name"] == "one"
    store.put(f"a/one/{TAR}", b"short")
    assert f"a/one/{TAR} is cut short: it has 5 bytes" in summarize("s3://bucket/a/one")["error"]
    with pytest.raises(DataError, match="there is nothing at s3://bucket/b"):
        find_shard_sets("s3://bucket/b")


def test_side_tables(store, write) -> None:
    write()
    table = write_side_table(URL, "score", {"hardness": np.arange(30.0)})
    assert table == f"{URL}/.synthcl/tables/score.parquet"
    assert len(open_shard_set(URL, where="hardness > 26.5")) == 3
    with pytest.raises(UsageError, match=rf"{table} is there already, of 30 samples; give --overwrite"):
        write_side_table(URL, "score", {"hardness": np.ones(30)})
    write_side_table(URL, "score", {"hardness": np.ones(30)}, overwrite=True)
    assert len(open_shard_set(URL, where="hardness = 1")) == 30
    assert verify_shard_set(URL).ok
    store.choose = lambda method, path: "refused" if "tables" in path and "list-type" in path else None
    assert open_shard_set(URL).read_views([3]).shape[0] == 1  # a reader that may not list has no tables


def test_what_works_in_folders_alone_is_refused(store) -> None:
    with pytest.raises(UsageError, match=rf"--record {URL}: a recording is cut back"):
        ShardRecorder(URL, {})
    with pytest.raises(UsageError, match=rf"{URL}: tars are indexed in a folder of this machine"):
        index_shards(URL)


def test_a_store_without_sizes_and_checksums(write, expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the stores that fsspec knows, the simplest."""
    import fsspec

    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    assert write("memory://b/set").complete and write("memory://b/set").reused
    assert {name.removeprefix("/b/set/"): memory.cat_file(name) for name in memory.find("/b/set")} == expected()
    assert json.loads(memory.cat_file(f"/b/set/{MANIFEST}"))["complete"]


def test_an_upload_in_parts(store, fail, monkeypatch: pytest.MonkeyPatch) -> None:
    """As s3fs sends what has more than 100 MB: its ETag is no MD5, and the condition is that of the last request."""
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None: 5 << 20)
    files, data = RemoteWritableSet(URL), np.random.default_rng(0).bytes((11 << 20) + 3)
    with files.part() as lock, TemporaryFile(lock.temporary(TAR)) as file:
        file.write(data)
        file.finish()
        injected = fail("error", "PUT", "", range(1, 2))
        files.publish(file, TAR)
        assert "partNumber" in injected[0] and store.objects("set/") == {TAR: data}
        files.publish(file, TAR)
    with files.part() as lock, TemporaryFile(lock.temporary(TAR)) as file:
        file.write(data[::-1])
        file.finish()
        with pytest.raises(DataError, match="is there already, and holds something else"):
            files.publish(file, TAR)
    assert store.objects("set/") == {TAR: data}
