"""The order of training for sets that are read shard by shard: it shuffles shards, and samples within windows.

A window is a few shards that follow each other in the shuffled order. The samples of a window are shuffled together. So
a step needs the shards of one window (of two at a window's end), and every sample comes once an epoch. The order is a
pure function of (key, step) and of the shards' sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..randomness import Key
from .order import Permutation, SampleOrder


class WindowOrder(SampleOrder):
    """Shuffles the shards anew in each epoch, and the samples within each window of shards.

    Args:
        shard_sizes: samples in each shard.
        batch_size: samples a step over all processes.
        key: names the order; the same key gives the same order on any number of processes.
        shards_per_window: how many shards are mixed. More shards mix better and take more of the cache or memory.

    Raises:
        UsageError: the batch size is below 1 or above the number of samples.
    """

    def __init__(
        self, shard_sizes: Sequence[int] | np.ndarray, batch_size: int, key: Key, shards_per_window: int
    ) -> None:
        sizes = np.asarray(shard_sizes, dtype=np.int64)
        super().__init__(int(sizes.sum()), batch_size, key)
        self._width = shards_per_window
        self._starts = (np.cumsum(sizes) - sizes)[sizes > 0]
        self._sizes = sizes[sizes > 0]  # a condition may select no sample of a shard
        self.windows_per_epoch = -(-len(self._sizes) // self._width)
        self._shuffle = lru_cache(maxsize=2)(self._shuffle_shards)

    def window(self, step: int) -> int:
        """The window, counted over all epochs, in which a step begins."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        _, ends = self._shuffle(epoch)
        inside = int(np.searchsorted(ends, batch * self.batch_size, side="right"))
        return epoch * self.windows_per_epoch + inside

    def first_samples(self, window: int) -> np.ndarray:
        """The first sample of each shard in a window, by which the shards can be fetched."""
        epoch, inside = divmod(window, self.windows_per_epoch)
        return self._starts[self._members(epoch, inside)]

    def at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        _, ends = self._shuffle(epoch)
        windows = np.searchsorted(ends, positions, side="right")
        samples = np.empty_like(positions)
        for window in np.unique(windows):
            here = windows == window
            members = self._members(epoch, int(window))
            sizes = self._sizes[members]
            total = int(sizes.sum())
            permutation = Permutation(total, self.key.child("window", epoch, int(window)))
            shuffled = permutation(positions[here] - (ends[window] - total))
            which = np.searchsorted(np.cumsum(sizes), shuffled, side="right")
            samples[here] = self._starts[members[which]] + shuffled - (np.cumsum(sizes) - sizes)[which]
        return samples

    def _members(self, epoch: int, window: int) -> np.ndarray:
        shards, _ = self._shuffle(epoch)
        return shards[window * self._width : (window + 1) * self._width]

    def _shuffle_shards(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The shards in an epoch's order, and the position at which each window ends."""
        count = len(self._sizes)
        shards = Permutation(count, self.key.child("shards", epoch))(np.arange(count))
        totals = np.cumsum(self._sizes[shards])
        last = np.minimum(np.arange(1, self.windows_per_epoch + 1) * self._width, count) - 1
        return shards, totals[last]
