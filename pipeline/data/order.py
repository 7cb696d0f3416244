"""The order of training: which images a step sees, as a pure function of (key, step).

No state and no list of n numbers: the shuffling of an epoch is a keyed permutation of [0, n), computed only at the
positions that are asked for. It is a Feistel network on pairs (l, r) in Z_a x Z_b with a b >= n ("generalised
Feistel", Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 5), and cycle walking takes the few
values in [n, a b) back into [0, n).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from ..errors import UsageError
from ..randomness import Key

_ROUNDS = 16
"""Ours, measured. Four rounds of a good round function look random for large n; for n = 5 or 6, the n! orders are
equally frequent over keys (chi-square, 20,000 keys) only from 16 rounds on. 512 positions take half a millisecond."""


class Permutation:
    """A bijection of [0, n) that depends on a key, in O(1) memory.

    Args:
        n: size of the set, 1 to 2**62.
        key: two keys give independent permutations.
    """

    def __init__(self, n: int, key: Key) -> None:
        if not 1 <= n <= 2**62:
            raise ValueError(f"a permutation is of 1 to 2**62 numbers, not {n}")
        self.n = n
        side = math.isqrt(n - 1) + 1  # ceil(sqrt(n))
        self._sides = (np.uint64(side), np.uint64(-(-n // side)))
        self._keys = [np.uint64(key.child("round", i).bits) for i in range(_ROUNDS)]

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """The images of `positions`, int64 of the same shape. Raises IndexError outside [0, n)."""
        values = np.asarray(positions)
        if values.size and (values.min() < 0 or values.max() >= self.n):
            raise IndexError(f"positions must be in [0, {self.n})")
        images = self._encrypt(values.astype(np.uint64).ravel())
        outside = np.flatnonzero(images >= self.n)
        while len(outside):
            images[outside] = self._encrypt(images[outside])
            outside = outside[images[outside] >= self.n]
        return images.astype(np.int64).reshape(values.shape)

    def _encrypt(self, values: np.ndarray) -> np.ndarray:
        """One pass of the network over [0, a b): a bijection, since each round can be undone."""
        a, b = self._sides
        left: np.ndarray = values % a
        right: np.ndarray = values // a
        for key in self._keys:
            # (l, r) -> (r, l + F(r)): the halves change places, and their moduli with them.
            left, right = right, (left + _mix(right, key) % a) % a
            a, b = b, a
        return left + a * right


def _mix(values: np.ndarray, key: np.uint64) -> np.ndarray:
    """64 well-mixed bits of each value: the finaliser of SplitMix64 (Steele et al. 2014), keyed."""
    values = values * np.uint64(0x9E3779B97F4A7C15) + key  # wraps modulo 2**64, as it should
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class StepOrder(Protocol):
    """Says which samples each step trains on."""

    def indices(self, step: int, rank: int = 0, num_processes: int = 1) -> np.ndarray:
        """(n,) int64, process `rank`'s samples of a step."""


class SampleOrder(ABC):
    """Which samples each step trains on: every epoch its own shuffling, the incomplete last batch dropped.

    Args:
        num_samples: size of the set.
        batch_size: samples a step over all processes.
        key: names the order; the same key gives the same order on any number of processes.

    Raises:
        UsageError: a batch size below 1 or above the number of samples.
    """

    def __init__(self, num_samples: int, batch_size: int, key: Key) -> None:
        if batch_size < 1:
            raise UsageError(f"--batch-size {batch_size} is below 1: give the number of images a step")
        if num_samples < min(2, batch_size):
            count = "1 image" if num_samples == 1 else f"{num_samples} images"
            raise UsageError(f"a set of {count} is too small to train on: give more data, 2 images at the least")
        if batch_size > num_samples:
            raise UsageError(
                f"--batch-size {batch_size} is larger than the set of {num_samples} images: "
                f"pass --batch-size {num_samples} or less, or more data"
            )
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.steps_per_epoch = num_samples // batch_size
        self.key = key

    def indices(self, step: int, rank: int = 0, num_processes: int = 1) -> np.ndarray:
        """The samples of a step, counted from 0 over all epochs.

        Args:
            step: 0, 1, 2, ... without end.
            rank: which process asks: it gets its contiguous slice of the global batch.
            num_processes: how many share the batch.

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
        if not 0 <= rank < num_processes:
            raise ValueError(f"rank {rank} is outside [0, {num_processes})")
        epoch, batch = divmod(step, self.steps_per_epoch)
        size = self.batch_size // num_processes
        start = batch * self.batch_size + rank * size
        return self.at(epoch, np.arange(start, start + size))

    @abstractmethod
    def at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """The samples at positions in [0, num_samples) of an epoch, int64 of the same shape."""


class GlobalOrder(SampleOrder):
    """Each epoch a keyed permutation of the whole set, in O(1) memory."""

    def at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        return Permutation(self.num_samples, self.key.child("epoch", epoch))(positions)


class EvenOrder:
    """Each epoch a keyed permutation of the whole set in as few batches as there can be, of sizes as even as can be.

    Nothing is dropped, as where a set is small and each label dear. Where the batch size divides the set it is
    `GlobalOrder`. Even batches are ours: they spare the training a last one of a few samples.

    Args:
        num_samples: size of the set.
        batch_size: the most samples a step.
        key: names the order.

    Raises:
        UsageError: as `SampleOrder`.
    """

    def __init__(self, num_samples: int, batch_size: int, key: Key) -> None:
        self._shuffled = GlobalOrder(num_samples, batch_size, key)
        self.num_samples, self.batch_size = num_samples, batch_size
        self.steps_per_epoch = -(-num_samples // batch_size)

    @property
    def sizes(self) -> tuple[int, int]:
        """The smallest batch and the largest."""
        return self.num_samples // self.steps_per_epoch, -(-self.num_samples // self.steps_per_epoch)

    def indices(self, step: int) -> np.ndarray:
        """The samples of a step, counted from 0 over all epochs, (n,) int64."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        start, end = ((batch + i) * self.num_samples // self.steps_per_epoch for i in (0, 1))
        return self._shuffled.at(epoch, np.arange(start, end))
