"""A stand-in of `torch.distributed`: several ranks in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor


class Ranks:
    """What `collectives` and `distributed` use of `torch.distributed`, for ranks that are threads of this process."""

    def __init__(self, world_size: int) -> None:
        self.world_size, self.own, self.given = world_size, threading.local(), [Tensor()] * world_size
        self.barrier = threading.Barrier(world_size, timeout=60)

    def is_available(self) -> bool:
        return True

    is_initialized = is_available

    def get_world_size(self) -> int:
        return self.world_size

    def get_rank(self) -> int:
        return self.own.rank

    def of_all(self, tensor: Tensor) -> list[Tensor]:
        self.given[self.own.rank] = tensor.clone()
        self.barrier.wait()
        tensors = list(self.given)
        self.barrier.wait()
        return tensors

    def all_gather_into_tensor(self, output: Tensor, tensor: Tensor) -> None:
        output.copy_(torch.cat(self.of_all(tensor)))

    def all_reduce(self, tensor: Tensor) -> None:
        tensor.copy_(torch.stack(self.of_all(tensor)).sum(dim=0))


@pytest.fixture
def in_ranks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[int], Any]], list[Any]]:
    """`in_ranks(W, function)`: what `function(rank)` returns in each of W ranks that meet in their collectives.

    Real processes, with gloo, are in test_learner_ranks.py; these here cost nothing.
    """
    from synthcl.learners import collectives
    from synthcl.pipeline.runtime import distributed

    def run(world_size: int, function: Callable[[int], Any]) -> list[Any]:
        ranks = Ranks(world_size)
        for module in (collectives, distributed):
            monkeypatch.setattr(module, "dist", ranks)

        def in_rank(rank: int) -> Any:
            ranks.own.rank = rank
            try:
                return function(rank)
            except BaseException:
                ranks.barrier.abort()
                raise

        with ThreadPoolExecutor(world_size) as pool:
            futures = [pool.submit(in_rank, rank) for rank in range(world_size)]
        monkeypatch.undo()
        # The rank that failed, rather than those that waited for it.
        failures = [f.exception() for f in futures if f.exception()]
        for failure in sorted(failures, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
            raise failure
        return [future.result() for future in futures]

    return run
