"""Decoded images in a file: written once, shared, whole or not there."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from stand_ins.slow_store import SlowStore

from synthcl.pipeline.data import cached, decoded, open_images
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.regimes.offline import ShardImages
from synthcl.pipeline.shards import open_shard_set, open_shard_store

TESTS = str(Path(__file__).parents[2])  # where stand_ins is
CHILD = """
import pathlib, sys, time
import numpy as np, torch
from synthcl.pipeline.data import decoded
from stand_ins.slow_store import SlowStore

home, name, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
store = SlowStore(home, seconds)
(home / f"ready-{name}").touch()
while not (home / "go").exists():
    time.sleep(0.01)
images = decoded.map_decoded(store, home / "cache")
assert torch.equal(images, store.pixels)
"""


def files(home):
    return sorted(path for path in (home / "cache").glob("*") if path.suffix != ".lock")


def test_decoded_once_and_the_same_afterwards(home):
    first, second = SlowStore(home), SlowStore(home)
    for store in (first, second):
        assert torch.equal(decoded.map_decoded(store, home / "cache"), store.pixels)
    assert (first.decoded, second.decoded) == (1, 0)
    (file,) = files(home)
    assert file.suffix == ".u8"


def test_what_is_written_to_the_images_stays_here(home):
    store = SlowStore(home)
    decoded.map_decoded(store, home / "cache").zero_()
    assert torch.equal(decoded.map_decoded(store, home / "cache"), store.pixels)


CHANGES = {
    "a source of another time": lambda home: os.utime(home / "source", (1, 1)),
    "a source of another size": lambda home: (home / "source").write_bytes(b"others"[:3]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_source_is_decoded_again(home, change):
    decoded.map_decoded(SlowStore(home), home / "cache")
    change(home)
    store = SlowStore(home)
    decoded.map_decoded(store, home / "cache")
    assert store.decoded == 1 and len(files(home)) == 2


def test_another_version_of_what_decodes_is_another_file(home, monkeypatch):
    decoded.map_decoded(SlowStore(home), home / "cache")
    monkeypatch.setattr(decoded, "version_of", lambda name: "9.9")
    store = SlowStore(home)
    decoded.map_decoded(store, home / "cache")
    assert store.decoded == 1


def test_what_another_version_left_is_the_first_to_go_for_room(home, monkeypatch):
    """It stays until then: another environment may share the folder, and ask for it in turn."""
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", str(int(2.5 * 40 * 3 * 64)))
    versions = {"now": "1"}
    monkeypatch.setattr(decoded, "version_of", lambda name: versions["now"])
    made = {}
    for time_of_use, version in enumerate(("1", "2", "3")):
        versions["now"] = version
        decoded.map_decoded(SlowStore(home), home / "cache")
        (made[version],) = set(files(home)) - set(made.values())
        os.utime(made[version], (time_of_use, time_of_use))
    assert files(home) == sorted([made["2"], made["3"]])
    store = SlowStore(home)
    versions["now"] = "2"
    assert torch.equal(decoded.map_decoded(store, home / "cache"), store.pixels) and store.decoded == 0


def test_what_killed_processes_left_of_other_files_is_cleared_away_and_what_is_being_written_is_not(home):
    names = {kind: f"{kind}-8.u8" for kind in ("dead", "alive")}
    (home / "cache").mkdir()
    for name in names.values():
        (home / "cache" / f".tmp-{name}-01234567").write_bytes(b"half")
    with open(home / "cache" / "alive-8.lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        decoded.map_decoded(SlowStore(home), home / "cache")
    left = [path.name for path in files(home) if path.name.startswith(".tmp-")]
    assert left == [f".tmp-{names['alive']}-01234567"]


def flip(file, position):
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "a pixel": lambda file: flip(file, 100),
    "the footer": lambda file: flip(file, -20),
    "the end": lambda file: flip(file, -1),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-30]),
    "empty": lambda file: file.write_bytes(b""),
    "longer": lambda file: file.write_bytes(b"x" + file.read_bytes()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_told_and_written_again(home, caplog, damage):
    decoded.map_decoded(SlowStore(home), home / "cache")
    (file,) = files(home)
    whole = file.read_bytes()
    damage(file)
    store = SlowStore(home)
    assert torch.equal(decoded.map_decoded(store, home / "cache"), store.pixels)
    assert "is damaged" in caplog.text and "decoded again" in caplog.text
    assert store.decoded == 1 and file.read_bytes() == whole


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_a_sentence_and_leaves_nothing(home, caplog, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", full)
    store = SlowStore(home)
    assert decoded.map_decoded(store, home / "cache") is None
    assert "cannot be kept in" in caplog.text and "No space left" in caplog.text
    assert files(home) == [] and store.decoded == 0


def test_a_disk_that_fills_on_the_way(home, caplog, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    assert decoded.map_decoded(SlowStore(home), home / "cache") is None
    assert "No space left" in caplog.text and files(home) == []


READ_ONLY = {"no folder yet": lambda cache: None, "a folder": lambda cache: cache.mkdir()}


@pytest.mark.parametrize("prepare", READ_ONLY.values(), ids=READ_ONLY.keys())
def test_a_read_only_disk_is_a_sentence_and_the_images_are_there(home, caplog, monkeypatch, prepare):
    prepare(home / "cache")
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")

    def refuse(path, mode="r", *rest, **options):
        if not set(mode) & set("wax+"):
            return open(path, mode, *rest, **options)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def make(self, *_, exist_ok=False, **__):
        if not (exist_ok and self.is_dir()):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(decoded, "open", refuse, raising=False)
    monkeypatch.setattr(Path, "mkdir", make)
    store = SlowStore(home)
    assert torch.equal(cached(store, "disk", "cpu").read([5]), store.pixels[[5]])
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        f"the decoded images of slow cannot be kept in {home / 'cache'} (Read-only file system): each process decodes "
        "them for itself"
    )


def test_writing_tells_how_far_it_is_and_for_how_long(home, monkeypatch, capsys):
    monkeypatch.setattr(decoded, "CHUNK", 10)
    seconds = [0.0]

    class SlowerStore(SlowStore):
        def read(self, indices):
            seconds[0] += 20.0
            return super().read(indices)

    monkeypatch.setattr("synthcl.pipeline.progress.line.time.monotonic", lambda: seconds[0])
    decoded.map_decoded(SlowerStore(home), home / "cache")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "decode slow: 10/40 images  0/s  1:00 left"
    assert lines[-1] == "decode slow: 40/40 images  0/s  0:00 left"


def test_a_folder_that_cannot_be_written(home, caplog):
    (home / "cache").write_text("a file where the folder should be")
    assert decoded.map_decoded(SlowStore(home), home / "cache") is None
    assert "cannot be kept in" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission(home, caplog):
    (home / "cache").mkdir(mode=0o500)
    assert decoded.map_decoded(SlowStore(home), home / "cache") is None
    assert "Permission denied" in caplog.text


def test_a_read_only_cache_that_has_the_file_serves(home, monkeypatch):
    decoded.map_decoded(SlowStore(home), home / "cache")
    monkeypatch.setattr(os, "utime", full)
    store = SlowStore(home)
    assert torch.equal(decoded.map_decoded(store, home / "cache"), store.pixels) and store.decoded == 0


def test_where_there_are_no_locks_images_are_decoded_all_the_same(home, caplog, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    store = SlowStore(home)
    assert torch.equal(decoded.map_decoded(store, home / "cache"), store.pixels)
    assert "cannot be locked" in caplog.text


def test_the_bound_removes_what_was_not_used_for_longest(home, monkeypatch):
    size = 40 * 3 * 64
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", str(int(2.5 * size)))
    kept = []
    for time_of_source in (1, 2, 3):
        os.utime(home / "source", (time_of_source, time_of_source))
        decoded.map_decoded(SlowStore(home), home / "cache")
        (new,) = set(files(home)) - set(kept)
        os.utime(new, (time_of_source, time_of_source))
        kept.append(new)
    assert files(home) == sorted(kept[1:])


def test_more_than_the_bound_is_not_kept(home, caplog, monkeypatch):
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", "100")
    assert decoded.map_decoded(SlowStore(home), home / "cache") is None
    assert "more than the 100 of SYNTHCL_CACHE_BYTES" in caplog.text and not (home / "cache").exists()
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", "1 GB")
    with pytest.raises(UsageError, match="SYNTHCL_CACHE_BYTES is '1 GB'; give a number of bytes"):
        decoded.map_decoded(SlowStore(home), home / "cache")


def start(home, name, seconds):
    environment = {**os.environ, "PYTHONPATH": TESTS}
    return subprocess.Popen([sys.executable, "-c", CHILD, home, name, str(seconds)], env=environment)


def wait_for(*paths):
    deadline = time.monotonic() + 300
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_of_two_processes_one_decodes_and_after_a_kill_the_other_does(home):
    """Also: what the killed one left is not taken for whole, and is cleared away."""
    first, second = start(home, "a", 600), start(home, "b", 0)
    wait_for(home / "ready-a", home / "ready-b")
    # The first alone to begin with: the second gets its turn once the first is dead.
    os.kill(second.pid, signal.SIGSTOP)
    (home / "go").touch()
    wait_for(home / "decoded")
    os.kill(second.pid, signal.SIGCONT)
    (left,) = files(home)
    assert left.name.startswith(".tmp-")
    time.sleep(0.2)
    assert second.poll() is None and (home / "decoded").read_text() == "x"
    first.kill()
    assert second.wait(300) == 0 and first.wait(300) != 0
    assert (home / "decoded").read_text() == "xx"
    (file,) = files(home)
    assert file.suffix == ".u8"


def test_stores_say_which_files_they_are_of(tmp_path, picture):
    for name in ("a.png", "b.png"):
        picture().save(tmp_path / name)
    store = open_images(str(tmp_path))
    assert [path.name for path in store.files()] == ["a.png", "b.png"]
    part = open_images(f"{tmp_path}[:1]")
    assert [path.name for path in part.files()] == ["a.png", "b.png"]
    assert decoded.file_name(part) != decoded.file_name(store)
    assert open_images("digits").files() == () and decoded.file_name(open_images("digits")) is None
    (tmp_path / "a.png").unlink()
    assert decoded.file_name(part) is None


@pytest.mark.parametrize("url", [False, True], ids=["here", "at a URL"])
def test_shard_sets_have_files_where_they_lie_here(home, make_set, caplog, monkeypatch, url):
    monkeypatch.setenv("SYNTHCL_CACHE", str(home / "fetched"))
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")
    path = make_set(num_samples=45)
    tars = [f"00000{i}.tar" for i in range(3)]
    stores = [open_shard_store(f"file://{path}" if url else path) for _ in range(2)]
    assert [file.name for file in stores[0].files() if file.suffix == ".tar"] == ([] if url else tars)
    assert [file.name for file in stores[0].files() if file.suffix != ".tar"] == (
        [] if url else [f"00000{i}.parquet" for i in range(3)]
    )
    fast = [cached(store, "disk", "cpu") for store in stores]
    assert all(torch.equal(one.read([44, 0]), stores[0].read([44, 0])) for one in fast)
    assert len(files(home)) == (0 if url else 1)
    assert ("has no files here" in caplog.text) == url


def test_each_selection_of_a_shard_set_has_a_file_of_its_own(make_set):
    path = make_set(num_samples=200)
    wanted = [None, "sample_index < 150", "sample_index < 199", "sample_index != 1", "sample_index != 2"]
    names = {decoded.file_name(open_shard_store(path, where=where)) for where in wanted}
    sets = {decoded.file_name(ShardImages([open_shard_set(path, where=where)], 16)) for where in wanted}
    assert len(names) == len(sets) == len(wanted)
    whole = decoded.file_name(ShardImages([open_shard_set(path)], 16))
    assert whole in sets and decoded.file_name(ShardImages([open_shard_set(path)] * 2, 16)) not in sets
    os.utime(path / "000001.tar", (1, 1))
    assert decoded.file_name(ShardImages([open_shard_set(path)], 16)) not in sets


def test_disk_falls_back_to_decoding(home, monkeypatch, caplog):
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")
    monkeypatch.setattr(os, "posix_fallocate", full)
    store = SlowStore(home)
    assert torch.equal(cached(store, "disk", "cpu").read([5]), store.pixels[[5]])
    assert "cannot be kept" in caplog.text
    memory = MemoryStore(store.pixels, "memory")
    assert cached(memory, "disk", "cpu") is memory
