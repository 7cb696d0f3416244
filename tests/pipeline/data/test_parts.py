"""Parts of stores: which images, lazily, and told apart from the whole."""

import itertools

import numpy as np
import pytest
import torch

from synthcl.pipeline.data import cached, open_images
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.data.parts import PartStore, choose_positions, open_part
from synthcl.pipeline.data.slices import parse_slice
from synthcl.pipeline.data.store import ImageStore, count_shared
from synthcl.pipeline.errors import UsageError

LABELS = np.repeat([3, 0, 7, 5], [40, 30, 36, 30])  # sorted by class, as folders are


def choose(inside, labels=LABELS, num_images=None, class_names=None):
    return choose_positions(parse_slice(inside, "x"), num_images or len(LABELS), labels, "x", class_names)


class NoisyStore(ImageStore):
    """Images of noise that note which of them were read."""

    def __init__(self, length=100, size=4):
        self.pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (length, 3, size, size), np.uint8))
        self.name, self.image_size, self.class_names = "noisy", size, ["a", "b"]
        self.labels = np.arange(length) % 2
        self.seen, self.released = [], 0

    def __len__(self):
        return len(self.pixels)

    def read(self, indices):
        self.seen += np.asarray(indices).tolist()
        return self.pixels[torch.as_tensor(np.asarray(indices))]

    def keys(self, indices):
        return [f"key{i}" for i in indices]

    def release(self):
        self.released += 1


def test_a_slice_is_in_the_order_of_the_file():
    assert choose("10:14").tolist() == [10, 11, 12, 13]
    assert choose("-25%:").tolist() == list(range(102, 136))


@pytest.mark.parametrize("order", ["shuffled", "balanced"])
def test_choices_are_ascending_nested_disjoint_and_follow_their_seed(order):
    first, again, other = (choose(text) for text in (f":40,{order}", f":40,{order},seed=0", f":40,{order},seed=1"))
    assert first.tolist() == again.tolist() == sorted(set(first.tolist())) and len(first) == 40
    assert first.tolist() != other.tolist()
    assert first.tolist() != list(range(40))
    parts = [set(choose(f"{a}:{b},{order}").tolist()) for a, b in itertools.pairwise((0, 5, 40, 120))]
    assert set(first.tolist()) == parts[0] | parts[1] and sum(map(len, parts)) == len(set.union(*parts)) == 120


@pytest.mark.parametrize("inside", [":4", ":10", ":50%", "3:11", "10%:35%", ":120", ":1", "17:18"])
@pytest.mark.parametrize("seed", [0, 1])
def test_balanced_takes_the_same_number_of_each_class_within_one(inside, seed):
    chosen = choose(f"{inside},balanced,seed={seed}")
    counts = [(LABELS[chosen] == label).sum() for label in (0, 3, 5, 7)]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == len(choose(inside))


def test_no_class_is_first_whatever_the_seed():
    assert {LABELS[choose(f":1,balanced,seed={seed}")].item() for seed in range(30)} == {0, 3, 5, 7}


def test_within_a_class_each_image_is_as_likely_as_another():
    """Of 30 images of a class 15 are chosen, over 200 seeds: 100 times each, standard deviation 7."""
    counts = np.zeros(len(LABELS))
    for seed in range(200):
        counts[choose(f":60,balanced,seed={seed}")] += 1
    assert abs(counts[LABELS == 0] - 100).max() < 4.5 * 7 and abs(counts[LABELS == 0].mean() - 100) < 1e-9


def test_shuffled_is_uniform_over_the_set():
    counts = np.zeros(20)
    for seed in range(200):
        counts[choose(f":25%,shuffled,seed={seed}", None, 20)] += 1
    assert abs(counts - 50).max() < 4.5 * 6.2


@pytest.mark.parametrize(
    ("inside", "labels", "class_names", "words"),
    [
        (":10,balanced", None, None, r"x\[:10,balanced\]: x has no labels to balance; write shuffled"),
        (":10,balanced", np.where(LABELS == 3, -1, LABELS), None, "40 of the 136 images of x have no label"),
        (":,balanced", LABELS, None, r"of class 0 there are 30 images, so with 4 classes .* after 120 images.* to 136"),
        ("90%:,balanced", LABELS, list("abcdefgh"), "of class a there are 30 images"),
    ],
)
def test_what_cannot_be_balanced(inside, labels, class_names, words):
    with pytest.raises(UsageError, match=words):
        choose(inside, labels, class_names=class_names)


def test_a_part_reads_its_images_alone():
    store = NoisyStore()
    part = open_part(store, parse_slice("10:20,shuffled", "x"), None)
    positions = choose("10:20,shuffled", None, 100)
    assert store.seen == []
    assert (part.name, len(part), part.image_size) == ("noisy[10:20,shuffled]", 10, 4)
    assert part.keys([0, 9]) == [f"key{positions[0]}", f"key{positions[9]}"]
    assert part.class_names == ["a", "b"] and part.labels.tolist() == (positions % 2).tolist()
    kept = cached(part, "ram")
    assert torch.equal(kept.read([3, 3, 0]), store.pixels[positions[[3, 3, 0]]])
    assert sorted(store.seen) == positions.tolist() and store.released == 1
    assert kept.keys([9]) == part.keys([9]) and kept.fingerprint() == part.fingerprint()
    with pytest.raises(IndexError):
        part.read([10])


def test_a_part_of_a_set_in_memory_is_resized_alone(monkeypatch):
    from synthcl.pipeline.data import memory

    resized = []
    resize = memory.resize_images
    monkeypatch.setattr(memory, "resize_images", lambda images, s: resized.append(len(images)) or resize(images, s))
    part = open_images("digits[5:9]", image_size=16)
    assert torch.equal(part.read(range(4)), open_images("digits", image_size=16).read(range(5, 9)))
    assert resized == [4] and part.image_size == 16


def test_parts_and_the_whole_are_told_apart():
    store = NoisyStore(300)
    whole = store.fingerprint()
    texts = (":100", "1:101", ":100,shuffled", ":100,shuffled,seed=1", ":100,balanced", ":299", "1:")
    prints = [open_part(store, parse_slice(text, "x"), None).fingerprint() for text in texts]
    assert len({whole, *prints}) == 8
    for text in (":", ":100%", ":300,shuffled", ":,balanced"):
        assert open_part(store, parse_slice(text, "x"), None).fingerprint() == whole
    one, other = (open_part(store, parse_slice(text, "x"), None).fingerprint() for text in (":10%", "0:30"))
    assert one == other


def test_parts_whose_images_look_alike_are_told_apart():
    """64 images are looked at: those of a video that stands still, say, do not tell parts apart."""
    still = MemoryStore(torch.zeros(1000, 3, 4, 4, dtype=torch.uint8), "still")
    prints = {open_part(still, parse_slice(text, "x"), None).fingerprint() for text in (":500", "500:", "1:501")}
    assert len(prints) == 3


def test_a_part_of_a_part_counts_from_the_whole():
    store = NoisyStore()
    part = PartStore(PartStore(store, np.arange(10, 30)), np.array([5, 0]))
    assert part.keys([0, 1]) == ["key15", "key10"] and part.name == "noisy"
    assert count_shared(part, open_part(store, parse_slice("11:16", "x"), None)) == 1
