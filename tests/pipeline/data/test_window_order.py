"""The order of sets that are fetched shard by shard: every sample once an epoch, few shards a step."""

import numpy as np
import pytest

from synthcl.pipeline.data.window_order import WindowOrder
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.randomness import Key

SIZES = [20, 20, 20, 20, 15]


def window_order(key: int = 0, width: int = 2, batch_size: int = 8) -> WindowOrder:
    return WindowOrder(SIZES, batch_size, Key.from_seed(key), shards_per_window=width)


def test_every_sample_comes_once_an_epoch() -> None:
    order = window_order(batch_size=5)
    for epoch in range(3):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        assert sorted(np.concatenate([order.indices(step) for step in steps])) == list(range(95))


def test_order_is_the_same_for_any_number_of_processes_and_any_history() -> None:
    order = window_order()
    steps = [order.indices(step) for step in range(30)]
    for step in (29, 0, 17, 11, 3):
        assert (window_order().indices(step) == steps[step]).all()
        for ranks in (2, 4):
            parts = [window_order().indices(step, rank, ranks) for rank in range(ranks)]
            assert (np.concatenate(parts) == steps[step]).all()
    assert not (steps[0] == window_order(key=1).indices(0)).all()
    assert not (steps[0] == steps[order.steps_per_epoch]).all()


def test_a_step_needs_few_shards_and_all_of_them_are_foreseen() -> None:
    order = window_order(width=2)
    ends = np.cumsum(SIZES)

    def shards(samples: np.ndarray) -> set[int]:
        return set(np.searchsorted(ends, samples, side="right").tolist())

    seen = set()
    for step in range(40):
        window = order.window(step)
        seen.add(window)
        assert shards(order.indices(step)) <= shards(
            np.concatenate(list(map(order.first_samples, (window, window + 1))))
        )
        assert len(shards(order.first_samples(window))) <= 2
    assert seen == set(range(max(seen) + 1))


def test_shards_of_which_nothing_is_selected_take_no_part() -> None:
    order = WindowOrder([0, 20, 0, 0, 15, 0], 7, Key.from_seed(0), shards_per_window=1)
    assert sorted(np.concatenate([order.indices(step) for step in range(5)])) == list(range(35))
    assert sorted(np.concatenate([order.first_samples(window) for window in range(2)])) == [0, 20]


def test_samples_are_mixed_within_a_window() -> None:
    order = WindowOrder([1000] * 4, 500, Key.from_seed(0), shards_per_window=4)
    counts = np.bincount(order.indices(0) // 1000, minlength=4)
    assert counts.min() > 80  # 125 expected, standard deviation 9.7


def test_orders_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="--batch-size 96"):
        window_order(batch_size=96)
    with pytest.raises(UsageError, match="evenly by 3"):
        window_order().indices(0, 0, 3)
