"""What all stores share: indices, fingerprints, and which images two of them have in common."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.data import cached, open_images
from synthcl.pipeline.data.caching import MappedStore
from synthcl.pipeline.data.memory import MemoryStore, ResizedStore
from synthcl.pipeline.data.parts import PartStore
from synthcl.pipeline.data.store import as_indices, count_shared, spread
from synthcl.pipeline.evaluation.corruptions import CorruptedStore
from synthcl.pipeline.randomness import Key


@pytest.mark.parametrize("wrong", [-1, 5])
def test_indices_outside(wrong, tmp_path, picture):
    picture().save(tmp_path / "a.png")
    for store, number in (
        (MemoryStore(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), "x"), 5),
        (open_images(str(tmp_path)), 1),
    ):
        for read in (store.read, store.keys):
            with pytest.raises(IndexError, match=f"no image {wrong} in a store of {number}"):
                read([0, wrong])


def test_fingerprints_follow_the_images_not_the_place(tmp_path, picture, encode, write_tar):
    files = {f"{i}.png": encode(picture(i)) for i in range(3)}
    here = open_images(str(write_tar(tmp_path / "a.tar", files)))
    there = open_images(str(write_tar(tmp_path / "there" / "b.tar", files)))
    assert here.fingerprint() == there.fingerprint()
    assert len(here.fingerprint()) == 16
    others = [
        write_tar(tmp_path / "c.tar", {**files, "1.png": encode(picture(9))}),
        write_tar(tmp_path / "d.tar", {**files, "3.png": encode(picture(3))}),
        write_tar(tmp_path / "e.tar", {**files, **{f"{i}.cls": b"1" for i in range(3)}}),
    ]
    prints = {open_images(str(path)).fingerprint() for path in others}
    prints |= {here.fingerprint(), open_images(str(tmp_path / "a.tar"), image_size=8).fingerprint()}
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("digits", "digits", 1442),
        ("digits[:10%]", "digits", 144),
        ("digits", "digits[:10%]", 144),
        ("digits[:10%]", "digits:train[100:200]", 44),
        ("digits[:80%,shuffled]", "digits[80%:,shuffled]", 0),
        ("digits[:80%,balanced]", "digits[80%:,shuffled]", None),
        ("digits[:10%]", "digits:test[:10%]", 0),
        ("digits[:10%]", "digits:test", 0),
    ],
)
@pytest.mark.parametrize("image_size", [8, 12])
def test_images_that_two_parts_share(one, other, shared, image_size):
    one, other = (open_images(spec, image_size=image_size) for spec in (one, other))
    if shared is None:
        pixels = [{image.numpy().tobytes() for image in store.read(range(len(store)))} for store in (one, other)]
        shared = len(pixels[0] & pixels[1])
        assert shared > 0
    assert count_shared(one, other) == shared
    assert count_shared(cached(one, "ram"), cached(other, "ram")) == shared


@pytest.mark.parametrize("mode", ["none", "ram", "disk"])
@pytest.mark.parametrize("kind", ["folder", "part", "tar", "parquet"])
def test_stores_tell_the_size_that_images_had(
    tmp_path, monkeypatch, picture, encode, write_tar, write_parquet, kind, mode
):
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    files = [encode(picture(i, 30 + 2 * i, 20 + 5 * i)) for i in range(5)]
    if kind == "tar":
        write_tar(tmp_path / "images" / "a.tar", {f"{i}.png": data for i, data in enumerate(files)})
    elif kind == "parquet":
        write_parquet(tmp_path / "images" / "a.parquet", files)
    else:
        (tmp_path / "images").mkdir()
        for i, data in enumerate(files):
            (tmp_path / "images" / f"{i}.png").write_bytes(data)
    spec = f"{tmp_path / 'images'}{'[1:]' if kind == 'part' else ''}"
    store = cached(open_images(spec, image_size=8), mode)
    assert store.short_sides(np.array([3, 0])).tolist() == ([38, 25] if kind == "part" else [35, 20])


@pytest.mark.parametrize("spec", ["digits", "digits[:10%]"])
def test_sets_in_memory_tell_the_size_that_images_had(spec):
    for size in (None, 4, 16):
        for as_read in (False, True):
            assert open_images(spec, image_size=size, as_read=as_read).short_sides(np.arange(2)).tolist() == [8, 8]
    assert MemoryStore(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), "x").short_sides(np.arange(2)) is None


WRAPPED = {
    "in RAM": lambda store: cached(store, "ram"),
    "in a file": MappedStore,
    "resized": lambda store: ResizedStore(store, 8),
    "part": lambda store: PartStore(store, np.arange(5)),
    "corrupted": lambda store: CorruptedStore(store, "fog", 3, Key.from_seed(0), torch.device("cpu")),
}
"""All stores over another store, of all of its images in its order."""


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_store_over_another_passes_on_what_is_not_its_own(tmp_path, monkeypatch, picture, kind):
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    for name in ("a/0", "a/1", "b/0", "b/1", "b/2"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(height=20, width=30).save(tmp_path / "images" / f"{name}.png")
    store = open_images(str(tmp_path / "images"), image_size=12)
    wrapped = WRAPPED[kind](store)
    assert len(wrapped) == 5 and wrapped.keys([4, 0]) == store.keys([4, 0])
    assert wrapped.labels.tolist() == [0, 0, 1, 1, 1] and wrapped.class_names == ["a", "b"]
    assert wrapped.files() == store.files() and len(store.files()) == 5
    assert wrapped.short_sides(np.array([4, 0])).tolist() == [20, 20]
    released = []
    monkeypatch.setattr(store, "release", lambda: released.append(True))
    wrapped.release()
    assert released == [True]
    own = kind in ("resized", "corrupted")  # images of its own, which no part of the other set shares
    assert (wrapped.fingerprint() != store.fingerprint()) == own
    assert (wrapped.origin()[0] != store.origin()[0]) == own
    assert wrapped.origin()[1].tolist() == list(range(5))


@pytest.mark.parametrize("indices", [[3, 0, 3], (3, 0, 3), np.array([3, 0, 3], np.uint8), torch.tensor([3, 0, 3])])
def test_indices_become_64_bit_integers(indices):
    found = as_indices(indices, 4)
    assert found.dtype == np.int64 and found.tolist() == [3, 0, 3]


def test_no_indices_are_none_of_any_store():
    assert as_indices([], 0).shape == as_indices(torch.empty(0), 5).shape == (0,)
    assert as_indices([], 0).dtype == np.int64, "a list of nothing is of floats for numpy"


@pytest.mark.parametrize(
    ("length", "count", "chosen"),
    [(10, 4, [0, 3, 6, 9]), (3, 64, [0, 1, 2]), (1, 64, [0]), (1000, 2, [0, 999]), (7, 7, list(range(7)))],
)
def test_spread_indices_are_even_and_reach_both_ends(length, count, chosen):
    assert spread(length, count).tolist() == chosen


def test_a_change_between_the_images_that_are_looked_at_is_not_noticed_and_one_of_theirs_is():
    pixels = torch.zeros(1000, 3, 2, 2, dtype=torch.uint8)
    looked_at = set(spread(1000, 64).tolist())
    unseen, seen = next(i for i in range(1000) if i not in looked_at), max(looked_at)
    before = MemoryStore(pixels, "x").fingerprint()
    pixels[unseen] = 9
    assert MemoryStore(pixels, "another name").fingerprint() == before
    pixels[seen, 0, 0, 0] = 9
    assert MemoryStore(pixels, "x").fingerprint() != before
