"""The order of training for sets that are fetched shard by shard: shards shuffled, samples shuffled within windows.

A window is a few shards that follow each other in the shuffled order; the samples of a window are shuffled together.
So a step needs the shards of one window (two at its end) and every sample comes once an epoch, in an order that is a
pure function of (key, step), with no state but the sizes of the shards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.order import Permutation
from ..errors import UsageError
from ..randomness import Key


class WindowOrder:
    """Which samples each step trains on; the incomplete last batch of an epoch is dropped.

    Args:
        shard_sizes: samples in each shard.
        batch_size: samples a step over all processes.
        key: names the order; the same key gives the same order on any number of processes.
        shards_per_window: how many shards are mixed. More mix better and need more of the cache.

    Raises:
        UsageError: a batch size below 1 or above the number of samples.
    """

    def __init__(self, shard_sizes: Sequence[int], batch_size: int, key: Key, shards_per_window: int = 8) -> None:
        self.num_samples = int(sum(shard_sizes))
        if not 1 <= batch_size <= self.num_samples:
            raise UsageError(f"--batch-size {batch_size} must be between 1 and the set's {self.num_samples} samples")
        if shards_per_window < 1:
            raise ValueError(f"a window has at least one shard, not {shards_per_window}")
        self.batch_size = batch_size
        self.steps_per_epoch = self.num_samples // batch_size
        self._sizes = np.asarray(shard_sizes, dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._key = key
        self._width = shards_per_window
        self._epoch: tuple[int, np.ndarray, np.ndarray] | None = None

    def indices(self, step: int, rank: int = 0, num_processes: int = 1) -> np.ndarray:
        """The samples of a step, counted from 0 over all epochs: this process's contiguous slice of them.

        Returns:
            (batch_size / num_processes,) int64.

        Raises:
            UsageError: the batch cannot be shared out evenly.
        """
        if self.batch_size % num_processes:
            raise UsageError(
                f"--batch-size {self.batch_size} cannot be shared evenly by {num_processes} processes: "
                f"pass a multiple of {num_processes}"
            )
        epoch, batch = divmod(step, self.steps_per_epoch)
        size = self.batch_size // num_processes
        first = batch * self.batch_size + rank * size
        return self._at(epoch, np.arange(first, first + size))

    def shards_ahead(self, step: int) -> np.ndarray:
        """The shards of the window that follows that of a step, in case they are to be fetched."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        shards, ends = self._shuffle(epoch)
        window = int(np.searchsorted(ends, batch * self.batch_size, side="right")) + 1
        if window >= len(ends):
            (shards, ends), window = self._shuffle(epoch + 1), 0
        return shards[window * self._width : (window + 1) * self._width]

    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """The samples at positions in [0, num_samples) of an epoch."""
        shards, ends = self._shuffle(epoch)
        windows = np.searchsorted(ends, positions, side="right")
        samples = np.empty_like(positions)
        for window in np.unique(windows):
            here = windows == window
            members = shards[window * self._width : (window + 1) * self._width]
            sizes = self._sizes[members]
            total = int(sizes.sum())
            shuffled = Permutation(total, self._key.child("window", epoch, int(window)))(
                positions[here] - (ends[window] - total)
            )
            which = np.searchsorted(np.cumsum(sizes), shuffled, side="right")
            samples[here] = self._starts[members[which]] + shuffled - (np.cumsum(sizes) - sizes)[which]
        return samples

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The shards in the order of an epoch, and the position at which each window ends."""
        if self._epoch is None or self._epoch[0] != epoch:
            count = len(self._sizes)
            shards = Permutation(count, self._key.child("shards", epoch))(np.arange(count))
            totals = np.cumsum(self._sizes[shards])
            last = np.minimum(np.arange(self._width, count + self._width, self._width), count) - 1
            self._epoch = epoch, shards, totals[last]
        return self._epoch[1], self._epoch[2]
