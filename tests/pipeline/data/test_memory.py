"""Images in memory, and brought to another size as they are read."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.data.memory import MemoryStore, ResizedStore
from synthcl.pipeline.images.decoding import resize_images


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (5, 3, 4, 4), dtype=np.uint8))


@pytest.mark.parametrize("indices", [[2, 0], (2, 0), np.array([2, 0], dtype=np.int32), torch.tensor([2, 0]), range(0)])
def test_indices_of_any_kind(images, indices):
    store = MemoryStore(images, "x", np.array([1, 2, 3, 4, 5]))
    assert torch.equal(store.read(indices), images[[int(i) for i in indices]])
    assert store.keys(indices) == [str(int(i)) for i in indices]


def test_what_is_told_of_the_images(images):
    store = MemoryStore(images, "x", np.array([1, 0, 1, 0, 1], dtype=np.uint8), ["a", "b"])
    assert (len(store), store.name, store.image_size, store.class_names) == (5, "x", 4, ["a", "b"])
    assert store.labels.dtype == np.int64 and store.labels.tolist() == [1, 0, 1, 0, 1]
    assert MemoryStore(images, "x").labels is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.float(), r"\(5, 3, 4, 4\) torch.float32"),
        (lambda x: x[:, :1], r"\(5, 1, 4, 4\)"),
        (lambda x: x[0], r"\(3, 4, 4\)"),
    ],
)
def test_other_tensors_are_refused(images, change, words):
    with pytest.raises(ValueError, match=rf"must be \(N, 3, S, S\) uint8, not {words}"):
        MemoryStore(change(images), "x")


def test_a_resized_store_is_the_other_one_at_another_size(images):
    whole = MemoryStore(images, "x", np.arange(5), ["a"] * 5)
    store = ResizedStore(whole, 7)
    assert torch.equal(store.read([4, 1]), resize_images(images[[4, 1]], 7))
    assert (len(store), store.name, store.image_size, store.class_names) == (5, "x", 7, ["a"] * 5)
    assert store.labels.tolist() == [0, 1, 2, 3, 4] and store.keys([3]) == ["3"]
    assert store.fingerprint() != whole.fingerprint(), "a fingerprint is of the images at their size"
