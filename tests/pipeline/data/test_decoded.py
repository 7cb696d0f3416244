"""Decoded images in a file: written once, shared, whole or not there."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from synthcl.pipeline.data import cached, caching, decoded, open_images
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.errors import UsageError

CHILD = """
import pathlib, sys, time
import numpy as np, torch
from synthcl.pipeline.data import decoded
from tests_decoded_store import SlowStore

home, name, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
store = SlowStore(home, seconds)
(home / f"ready-{name}").touch()
while not (home / "go").exists():
    time.sleep(0.01)
images = decoded.map_decoded(store, home / "cache")
assert torch.equal(images, store.pixels)
"""
STORE = '''
import time
import numpy as np
import torch
from synthcl.pipeline.data.store import ImageStore


class SlowStore(ImageStore):
    """Images of a file, whose decoding takes time and is noted."""

    def __init__(self, home, seconds=0.0, length=40, size=8):
        self.name, self.image_size, self.home, self.seconds = "slow", size, home, seconds
        pixels = np.random.default_rng(0).integers(0, 256, (length, 3, size, size), dtype=np.uint8)
        self.pixels = torch.from_numpy(pixels)
        self.decoded = 0

    def __len__(self):
        return len(self.pixels)

    def read(self, indices):
        if len(indices) == len(self) and isinstance(indices, np.ndarray) and (indices == np.arange(len(self))).all():
            self.decoded += 1
            with open(self.home / "decoded", "a") as file:
                file.write("x")
            time.sleep(self.seconds)
        return self.pixels[torch.as_tensor(np.asarray(indices))]

    def files(self):
        return [self.home / "source"]

    def keys(self, indices):
        return [str(i) for i in indices]

    def fingerprint(self):
        return "0123456789abcdef"
'''
namespace: dict = {}
exec(STORE, namespace)
SlowStore = namespace["SlowStore"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "source").write_bytes(b"images")
    (tmp_path / "tests_decoded_store.py").write_text(STORE)
    monkeypatch.setattr(decoded, "WAIT_SECONDS", 0.01)
    return tmp_path


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
    environment = {**os.environ, "PYTHONPATH": str(home)}
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


@pytest.mark.parametrize("mode", ["disk", "auto", "device"])
def test_runs_share_the_file(home, monkeypatch, mode):
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")
    monkeypatch.setattr(caching, "FILE_BYTES", 1)
    stores = [SlowStore(home), SlowStore(home)]
    for store in stores:
        fast = cached(store, mode, "cpu")
        assert torch.equal(fast.read([39, 0, 0]), store.pixels[[39, 0, 0]])
        assert fast.fingerprint() == store.fingerprint() and fast.keys([3]) == ["3"]
    assert [store.decoded for store in stores] == [1, 0]


def test_small_sets_and_ram_have_no_file(home, monkeypatch):
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")
    cached(SlowStore(home), "auto", "cpu").read([0])
    monkeypatch.setattr(caching, "FILE_BYTES", 1)
    cached(SlowStore(home), "ram", "cpu").read([0])
    assert not (home / "cache").exists()


def test_what_does_not_fit_into_ram_comes_from_the_file(home, monkeypatch):
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")
    monkeypatch.setattr(caching, "available_ram", lambda: 0)
    store = SlowStore(home)
    fast = cached(store, "auto", "cpu")
    assert isinstance(fast, caching.MappedStore) and torch.equal(fast.read([5]), store.pixels[[5]])
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", "100")
    assert cached(store, "auto", "cpu") is store


def test_disk_falls_back_to_decoding(home, monkeypatch, caplog):
    monkeypatch.setattr(decoded, "decoded_folder", lambda: home / "cache")
    monkeypatch.setattr(os, "posix_fallocate", full)
    store = SlowStore(home)
    assert torch.equal(cached(store, "disk", "cpu").read([5]), store.pixels[[5]])
    assert "cannot be kept" in caplog.text
    memory = MemoryStore(store.pixels, "memory")
    assert cached(memory, "disk", "cpu") is memory
