"""The order: a bijection, close to uniform, and the same for any number of processes."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from synthcl.pipeline.data.order import EvenOrder, GlobalOrder, Permutation
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.randomness import Key

KEY = Key.from_seed(0)
SIZES = [*range(1, 40), 97, 127, 128, 129, 1009, 4095, 4096, 4097, 50_000, 65_537]


@pytest.mark.parametrize("n", SIZES)
def test_bijective(n):
    for seed in range(3):
        images = Permutation(n, Key.from_seed(seed))(np.arange(n))
        np.testing.assert_array_equal(np.sort(images), np.arange(n))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_orders_are_about_equally_frequent(n):
    trials = 60 * math.factorial(n)
    counts = Counter(tuple(Permutation(n, Key.from_seed(seed))(np.arange(n))) for seed in range(trials))
    excess = [(counts[order] - 60) ** 2 / 60 for order in itertools.permutations(range(n))]
    freedom = math.factorial(n) - 1
    assert sum(excess) < freedom + 4 * math.sqrt(2 * freedom)


def test_each_position_takes_each_value_equally_often():
    n, trials = 10, 3000
    orders = np.stack([Permutation(n, Key.from_seed(seed))(np.arange(n)) for seed in range(trials)])
    counts = np.stack([np.bincount(orders[:, position], minlength=n) for position in range(n)])
    assert ((counts - trials / n) ** 2 / (trials / n)).sum() < 81 + 4 * math.sqrt(2 * 81)


def test_a_large_shuffling_looks_random():
    n = 50_000
    images = Permutation(n, KEY)(np.arange(n))
    assert abs(np.corrcoef(np.arange(n), images)[0, 1]) < 4 / math.sqrt(n)
    assert abs(np.corrcoef(images[:-1], images[1:])[0, 1]) < 4 / math.sqrt(n)
    assert abs((images == np.arange(n)).sum() - 1) < 8  # fixed points: Poisson with mean 1
    other = Permutation(n, Key.from_seed(1))(np.arange(n))
    assert abs((images == other).sum() - 1) < 8


def test_positions_are_independent_of_each_other_and_may_be_huge():
    permutation = Permutation(2**62, KEY)
    positions = np.array([[0, 1], [2**61, 2**62 - 1]])
    images = permutation(positions)
    assert images.dtype == np.int64
    assert images.shape == (2, 2)
    assert images[1, 1] == permutation(np.array(2**62 - 1))
    assert len(np.unique(images)) == 4


def test_positions_outside_are_refused():
    for wrong in (-1, 10):
        with pytest.raises(IndexError, match=r"\[0, 10\)"):
            Permutation(10, KEY)(np.array([0, wrong]))
    with pytest.raises(ValueError, match="not 0"):
        Permutation(0, KEY)


def test_an_epoch_shows_each_sample_once_and_drops_the_rest():
    order = GlobalOrder(103, 10, KEY)
    assert order.steps_per_epoch == 10
    for epoch in range(3):
        seen = np.concatenate([order.indices(epoch * 10 + step) for step in range(10)])
        assert len(np.unique(seen)) == 100
        assert seen.max() < 103


def test_epochs_differ():
    order = GlobalOrder(64, 64, KEY)
    assert not np.array_equal(order.indices(0), order.indices(1))


def test_steps_need_no_history():
    steps = [GlobalOrder(100, 7, KEY).indices(step) for step in range(40)]
    np.testing.assert_array_equal(GlobalOrder(100, 7, KEY).indices(33), steps[33])


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 12])
def test_ranks_take_contiguous_slices_of_the_global_batch(processes):
    order = GlobalOrder(100, 12, KEY)
    for step in (0, 5, 20):
        parts = [order.indices(step, rank, processes) for rank in range(processes)]
        assert {len(part) for part in parts} == {12 // processes}
        np.testing.assert_array_equal(np.concatenate(parts), order.indices(step))


def test_a_batch_that_cannot_be():
    with pytest.raises(UsageError, match="a set of 1 image is too small to train on: give more data, 2 images at the"):
        GlobalOrder(1, 64, KEY)
    with pytest.raises(UsageError, match=r"--batch-size 512 is larger than the set of 100 images"):
        GlobalOrder(100, 512, KEY)
    with pytest.raises(UsageError, match=r"--batch-size 0 is below 1"):
        GlobalOrder(100, 0, KEY)
    with pytest.raises(UsageError, match=r"--batch-size 10 .* by 4 processes"):
        GlobalOrder(100, 10, KEY).indices(0, 0, 4)
    with pytest.raises(ValueError, match="rank 2"):
        GlobalOrder(100, 10, KEY).indices(0, 2, 2)


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "sizes"), [(103, 10, (9, 10)), (180, 128, (90, 90)), (7, 7, (7, 7))]
)
def test_an_even_order_shows_all_samples_once_an_epoch(num_samples, batch_size, sizes):
    order = EvenOrder(num_samples, batch_size, KEY)
    assert order.sizes == sizes
    for epoch in range(3):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        batches = [order.indices(step) for step in steps]
        assert (min(map(len, batches)), max(map(len, batches))) == sizes
        assert sorted(np.concatenate(batches)) == list(range(num_samples))


def test_an_even_order_of_whole_batches_is_the_global_one():
    for step in range(25):
        np.testing.assert_array_equal(EvenOrder(100, 10, KEY).indices(step), GlobalOrder(100, 10, KEY).indices(step))
