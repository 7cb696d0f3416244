"""Publication: files appear whole, replace no other file, and have one writer at a time."""

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import publish, write_shard_set
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.publish import PartLock


def test_a_second_writer_is_refused_and_a_dead_ones_lock_recovered(make_set, tmp_path: Path, render, digest) -> None:
    whole = make_set("whole")
    path = tmp_path / "set"
    (path / ".synthcl").mkdir(parents=True)
    arguments = (path, {"seed": 3, "weights": "abc"}, 50, 20)
    with PartLock(path, 0, 1):
        with pytest.raises(DataError, match="being written by another process"):
            write_shard_set(*arguments, render)
        with pytest.raises(DataError, match="give all jobs the same --num-jobs"):
            write_shard_set(*arguments, render, process_index=1, num_processes=2)
    # What kill -9 leaves: lock files that nobody holds, and temporary files, of this and of other parts.
    for name in ("lock-0-of-1", "lock-1-of-4", ".tmp-0-of-1-000000.tar", ".tmp-1-of-4-000001.tar"):
        (path / ".synthcl" / name).write_bytes(b"left")
    make_set("set")
    assert digest(whole) == digest(path)


def test_a_shard_without_sidecar_is_taken_if_it_is_the_same_and_refused_if_not(
    make_set, tmp_path: Path, digest
) -> None:
    whole = make_set("whole")
    path = make_set("set")
    for name in ("shardset.json", "000001.parquet", "000002.parquet"):
        (path / ".synthcl" / name).unlink()
    with pytest.raises(DataError, match="holds no shard set"):
        make_set("set")
    (path / ".synthcl" / "shardset.json").write_bytes((whole / ".synthcl" / "shardset.json").read_bytes())
    begun = replace(read_manifest(path), complete=False, shards=()).to_json()
    (path / ".synthcl" / "shardset.json").write_text(begun)
    (path / "000002.tar").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"000002.tar is there already, without a sidecar"):
        make_set("set")
    assert (path / "000002.tar").read_bytes() == b"something else"
    (path / "000002.tar").unlink()
    make_set("set")
    assert digest(whole) == digest(path)


@pytest.mark.parametrize("call", range(1, 14))
@pytest.mark.parametrize("where", ["fsync", "write", "close", "link"])
def test_a_full_disk_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, make_set, tmp_path: Path, digest, where: str, call: int
) -> None:
    whole = make_set("whole")
    calls = 0

    def full(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class File:
        def __init__(self, file) -> None:
            self.file = file

        def __getattr__(self, name: str):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

        def write(self, data: bytes) -> int:
            if where == "write":
                full()
            return self.file.write(data)

        def close(self) -> None:
            self.file.close()
            if where == "close":
                full()

    def failing_open(path: Path, mode: str):
        return File(open(path, mode)) if mode == "wb" else open(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "open", failing_open, raising=False)
        if where in ("fsync", "link"):
            real = getattr(os, where)
            patch.setattr(publish.os, where, lambda *a: (full(), real(*a))[1])
        try:
            make_set("set")
        except DataError as error:
            assert "No space left on device" in str(error)
            left = [p.name for p in (tmp_path / "set" / ".synthcl").iterdir()]
            assert not any(name.startswith((".tmp", "lock")) for name in left)
        else:
            # Where links fail the file is renamed, so that is no failure; and some have fewer calls.
            assert calls < call or where == "link"
    for sidecar in (tmp_path / "set" / ".synthcl").glob("0*.parquet"):
        assert sidecar.read_bytes() == (whole / ".synthcl" / sidecar.name).read_bytes()
    make_set("set")
    assert digest(whole) == digest(tmp_path / "set")


def test_a_disk_that_lies_is_noticed(monkeypatch: pytest.MonkeyPatch, make_set, tmp_path: Path) -> None:
    real = publish.file_sha256
    monkeypatch.setattr(publish, "file_sha256", lambda path: "0" * 64 if "000001.tar" in path.name else real(path))
    with pytest.raises(DataError, match="does not hold what was written"):
        make_set("set")
    assert [p.name for p in (tmp_path / "set").glob("*.tar")] == ["000000.tar"]


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """As by a writer that begins at the same time, and looks whether a dead one has left it."""
    (tmp_path / ".synthcl").mkdir()
    path = tmp_path / ".synthcl" / "lock-0-of-1"
    held = publish._acquire(path)
    assert held is not None
    release = threading.Timer(0.05, publish._release, (path, held))
    release.start()
    with PartLock(tmp_path):
        release.join()
        assert path.exists()


def test_a_writer_counts_the_others_that_live_and_removes_what_dead_ones_left(tmp_path: Path) -> None:
    (tmp_path / ".synthcl").mkdir()
    (tmp_path / ".synthcl" / ".tmp-2-of-3-000000.tar").touch()
    with PartLock(tmp_path, 0, 3) as lock:
        assert [path.name for path in (tmp_path / ".synthcl").iterdir()] == ["lock-0-of-3"]
        with PartLock(tmp_path, 1, 3) as other:
            other.temporary("000001.tar").touch()
            assert lock.clean_up() == 1 and other.temporary("000001.tar").exists()
        assert lock.clean_up() == 0 and not other.temporary("000001.tar").exists()


def test_a_lock_whose_file_its_holder_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second writer opens the file, then the first one ends, then the second one locks a file that is gone."""
    (tmp_path / ".synthcl").mkdir()
    first, real = PartLock(tmp_path), publish.fcntl.flock
    first.__enter__()

    def end_first(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(publish.fcntl, "flock", real)
        first.__exit__(None, None, None)
        real(descriptor, operation)

    monkeypatch.setattr(publish.fcntl, "flock", end_first)
    with PartLock(tmp_path), pytest.raises(DataError, match="being written by another process"), PartLock(tmp_path):
        pass
    assert not list((tmp_path / ".synthcl").iterdir())


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_and_nothing_is_left(
    make_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(publish.fcntl, "flock", refuse)
    with pytest.raises(DataError, match="cannot be locked") as error:
        make_set("set")
    assert str(tmp_path / "set") in str(error.value) and os.strerror(number) in str(error.value)
    assert not [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
