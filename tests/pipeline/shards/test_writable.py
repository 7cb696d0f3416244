"""The files of a set, in a folder and elsewhere, seen alike."""

import os
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards.object_store import RemoteWritableSet
from synthcl.pipeline.shards.publish import TemporaryFile
from synthcl.pipeline.shards.writable import LocalWritableSet, WritableSet, for_each, open_writable

TAR, SIDECAR = "000000.tar", ".synthcl/000000.parquet"
SHARD, ROWS = b"a tar of a kind", b"rows PAR1"


@pytest.fixture(params=["folder", "memory", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WritableSet:
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    if request.param == "folder":
        return open_writable(tmp_path / "set")
    if request.param == "s3":
        request.getfixturevalue("store")
        return open_writable("s3://bucket/set")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return open_writable("memory://bucket/set/")


def publish(files: WritableSet, name: str, data: bytes, **options: bool) -> None:
    files.make_folder()
    with files.part() as lock, TemporaryFile(lock.temporary(Path(name).name)) as file:
        file.write(data)
        file.finish()
        files.publish(file, name, **options)


def test_files_are_published_and_found(files: WritableSet) -> None:
    assert files.size(TAR) is None and files.read(SIDECAR) is None
    assert files.entries() == [] and files.sizes() == {} == files.sizes(".synthcl")
    publish(files, TAR, SHARD)
    publish(files, SIDECAR, ROWS)
    publish(files, ".synthcl/tables/score.parquet", ROWS)
    assert files.size(TAR) == len(SHARD) and files.read(SIDECAR) == ROWS
    assert files.entries() == [TAR] and files.sizes() == {TAR: len(SHARD)}
    assert files.sizes(".synthcl") == {"000000.parquet": len(ROWS)}
    assert files.sizes(".synthcl/tables") == {"score.parquet": len(ROWS)}
    assert str(files.place(TAR)) == f"{files.path}/{TAR}"
    with files.here([TAR, SIDECAR, "000001.tar"]) as folder:
        assert (folder / TAR).read_bytes() == SHARD and (folder / SIDECAR).read_bytes() == ROWS
        assert not (folder / "000001.tar").exists()
    with pytest.raises(DataError, match=rf"{SIDECAR} has 9 bytes, more than the 8 that are read"):
        files.read(SIDECAR, 8)


def test_another_file_is_not_replaced_unless_asked(files: WritableSet) -> None:
    publish(files, TAR, SHARD)
    publish(files, TAR, SHARD)
    with pytest.raises(DataError, match=rf"{TAR} is there already.* holds something else .* move it away"):
        publish(files, TAR, b"another tar of a kind")
    assert files.size(TAR) == len(SHARD)
    publish(files, TAR, b"another tar of a kind", replace=True)
    assert files.size(TAR) == len(SHARD) + 6


def test_one_process_of_this_machine_writes_a_part(files: WritableSet, tmp_path: Path) -> None:
    files.make_folder()
    with files.part(1, 3), open_writable(files.path).part(2, 3):
        with pytest.raises(DataError, match=rf"^{files.path} is being written by another process \(part 1-of-3\)"):
            open_writable(files.path).part(1, 3).__enter__()
        with pytest.raises(DataError, match=rf"^{files.path} is being written .* give all jobs the same --num-jobs"):
            open_writable(files.path).part(0, 2).__enter__()
    assert not list(tmp_path.rglob("lock-*"))


def test_what_dead_writers_left_is_removed(files: WritableSet, tmp_path: Path) -> None:
    files.make_folder()
    with files.part() as lock:
        left = lock.temporary(TAR)
    left.write_bytes(b"half")
    files.remove_leftovers()
    assert not left.exists() and not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("url", ["file://{}", "local://{}"])
def test_file_urls_are_folders(tmp_path: Path, url: str) -> None:
    files = open_writable(url.format(tmp_path / "set"))
    assert isinstance(files, LocalWritableSet) and files.path == tmp_path / "set"


@pytest.mark.parametrize("url", ["http://host/set", "https://host/set"])
def test_web_servers_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=rf"^{url}: a set on a web server can be trained on, and neither written"):
        open_writable(url)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file is a file; give a folder"):
        open_writable(tmp_path / "file").entries()


def test_links_are_not_followed(tmp_path: Path) -> None:
    files = open_writable(tmp_path)
    publish(files, SIDECAR, ROWS)
    (tmp_path / ".synthcl" / "000001.parquet").symlink_to(tmp_path / SIDECAR)
    assert files.sizes(".synthcl") == {"000000.parquet": len(ROWS), "000001.parquet": -1}
    with pytest.raises(DataError, match=r"000001\.parquet is a link"):
        files.read(".synthcl/000001.parquet")


def test_files_that_go_while_they_are_listed_hide_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = open_writable(tmp_path)
    for name in ("000000.tar", "000001.tar", "000002.tar"):
        publish(files, name, SHARD)
    real = os.scandir

    @contextmanager
    def scan(path):
        with real(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        (tmp_path / "000001.tar").unlink()
        yield entries

    monkeypatch.setattr(os, "scandir", scan)
    assert files.sizes() == {"000000.tar": len(SHARD), "000002.tar": len(SHARD)}


def test_several_are_read_at_once_in_order(tmp_path: Path) -> None:
    for files in (LocalWritableSet(tmp_path), RemoteWritableSet("memory://bucket/set")):
        assert for_each(files, lambda n: n * n, range(50)) == [n * n for n in range(50)]
