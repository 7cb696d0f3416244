"""Images read a few steps before they are needed, in a thread, while the step before computes.

Which images a step needs is a pure function of the step, so nothing but the time of reading changes: a run is bit for
bit the same, and resumes as it does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from .memory import MemoryStore
from .store import ImageStore

STEPS_AHEAD = 3
"""Enough to even out slow reads, few enough to hold little. Ours."""


class Ahead:
    """Reads the images of steps, those of the next few steps in a thread while it is open.

    Args:
        read: gives the images of a step, counted from 0; called by one thread at a time.
        device: where the images go. For CUDA they come in pinned memory, from which copies do not wait.
    """

    def __init__(self, read: Callable[[int], Tensor], device: torch.device) -> None:
        self._read_step, self._pin = read, device.type == "cuda"
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[int, Future[Tensor]] = {}
        self._last = -1

    def __call__(self, step: int) -> Tensor:
        """The images of a step. What reading raised, in the thread or here, comes from the call for its step."""
        if self._pool is None:
            return self._read(step)
        for other in [number for number in self._pending if not step <= number <= step + STEPS_AHEAD]:
            self._pending.pop(other).cancel()
        for soon in range(step, min(step + STEPS_AHEAD, self._last) + 1):
            if soon not in self._pending:
                self._pending[soon] = self._pool.submit(self._read, soon)
        future = self._pending.pop(step, None)
        return self._read(step) if future is None else future.result()

    def _read(self, step: int) -> Tensor:
        images = self._read_step(step)
        return images.pin_memory() if self._pin and not images.is_cuda else images

    @contextmanager
    def open(self, total_steps: int) -> Iterator[None]:
        """Meanwhile steps up to the last of `total_steps` are read ahead; at the end the thread is gone."""
        self._last = total_steps - 1
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")
        try:
            yield
        finally:
            pool, self._pool = self._pool, None
            self._pending.clear()
            pool.shutdown(cancel_futures=True)


def costs_to_read(store: ImageStore, device: torch.device) -> bool:
    """Whether images are worth reading ahead: not where they lie decoded in the memory that they are used from."""
    return not isinstance(store, MemoryStore) or (device.type == "cuda" and not store.images.is_cuda)
