"""The cache: what is decoded once, where it is held, and what stays as it is."""

from collections import Counter

import numpy as np
import pytest
import torch
from stand_ins.slow_store import SlowStore

from synthcl.pipeline.data import ImageStore, cached, caching, decoded, open_images
from synthcl.pipeline.errors import UsageError


class CountingStore(ImageStore):
    """Images whose reads are counted."""

    def __init__(self, length=50, size=4):
        random = np.random.default_rng(0)
        self.pixels = torch.from_numpy(random.integers(0, 256, (length, 3, size, size), dtype=np.uint8))
        self.name, self.image_size = "counting", size
        self.labels, self.class_names = np.arange(length) % 3, ["a", "b", "c"]
        self.reads = Counter()

    def __len__(self):
        return len(self.pixels)

    def read(self, indices):
        self.reads.update(np.asarray(indices).tolist())
        return self.pixels[torch.as_tensor(np.asarray(indices))]

    def keys(self, indices):
        return [f"key{i}" for i in indices]


@pytest.mark.parametrize("mode", ["auto", "ram", "device"])
def test_each_image_is_decoded_once(monkeypatch, mode):
    monkeypatch.setattr(caching, "_CHUNK", 16)
    store = CountingStore()
    fast = cached(store, mode, "cpu")
    for _ in range(3):
        assert torch.equal(fast.read([49, 0, 0, 7]), store.pixels[[49, 0, 0, 7]])
    assert set(store.reads.values()) == {1}
    assert len(store.reads) == 50
    assert fast.fingerprint() == store.fingerprint()
    assert fast.keys([3]) == ["key3"]
    assert (fast.name, fast.image_size, fast.class_names) == ("counting", 4, ["a", "b", "c"])
    np.testing.assert_array_equal(fast.labels, store.labels)


def test_decoding_tells_how_far_it_is_and_for_how_long(monkeypatch, capsys):
    monkeypatch.setattr(caching, "_CHUNK", 10)
    seconds = [0.0]

    class PausingStore(CountingStore):
        def read(self, indices):
            seconds[0] += 20.0
            return super().read(indices)

    monkeypatch.setattr("synthcl.pipeline.progress.line.time.monotonic", lambda: seconds[0])
    cached(PausingStore(), "ram", "cpu").read([0])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "decode counting: 10/50 images  0/s  1:20 left"
    assert lines[-1] == "decode counting: 50/50 images  0/s  0:00 left"


def test_decoding_is_told_by_one_process_alone(monkeypatch, capsys):
    monkeypatch.setattr(caching, "rank", lambda: 1)
    cached(CountingStore(), "ram", "cpu").read([0])
    assert capsys.readouterr().err == ""


def test_none_and_what_does_not_fit_stay_as_they_are(monkeypatch):
    store = CountingStore()
    assert cached(store, "none", "cpu") is store
    need = 50 * 3 * 4 * 4
    monkeypatch.setattr(caching, "available_ram", lambda: need / caching.RAM_FRACTION - 1)
    assert cached(store, "auto", "cpu") is store
    monkeypatch.setattr(caching, "available_ram", lambda: need / caching.RAM_FRACTION)
    assert cached(store, "auto", "cpu") is not store


def test_auto_leaves_memory_that_another_store_of_the_run_was_given(monkeypatch):
    store, need = CountingStore(), 50 * 3 * 4 * 4
    other = cached(CountingStore(), "ram", "cpu")
    monkeypatch.setattr(caching, "available_ram", lambda: 2 * need / caching.RAM_FRACTION - 1)
    assert cached(store, "auto", "cpu", beside=other) is store
    assert cached(store, "auto", "cpu", beside=CountingStore()) is not store  # which keeps none there
    monkeypatch.setattr(caching, "available_ram", lambda: 2 * need / caching.RAM_FRACTION)
    assert cached(store, "auto", "cpu", beside=other) is not store


def test_auto_prefers_the_device_while_it_fits(monkeypatch):
    free = {"bytes": 1000}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free["bytes"], 2**40))
    cuda = torch.device("cuda", 0)
    assert caching._target("auto", cuda, 250) == cuda
    assert caching._target("auto", cuda, 251) == torch.device("cpu")
    assert caching._target("device", cuda, 10**9) == cuda
    assert caching._target("ram", cuda, 10) == torch.device("cpu")


def test_decoded_images_are_not_cached_again():
    store = open_images("digits")
    assert cached(store, "auto", "cpu") is store
    assert cached(store, "ram", "cpu") is store


def test_unknown_modes_and_too_large_sets():
    with pytest.raises(UsageError, match="'tape' is unknown: choose one of auto, device, ram, disk, none"):
        cached(CountingStore(), "tape", "cpu")
    store = CountingStore()
    store.image_size = 2**26
    with pytest.raises(UsageError, match=r"--cache ram: the 50 images of counting take .* GiB"):
        cached(store, "ram", "cpu")


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
