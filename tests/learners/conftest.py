"""Learners around a small smooth backbone, in float64: for tests of one method against its formula. And several ranks
in one process."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from synthcl.learners import Learner, collectives, create_learner


class Backbone(nn.Sequential):
    """Images (N, 3, 2, 2) to features (N, 6)."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(12, 6), nn.Tanh())


def make(name: str, **options) -> Learner:
    torch.manual_seed(0)
    return create_learner(name, Backbone(), **{"hidden_dim": 8, "embedding_dim": 5, **options}).double()


def images(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def part_encoders(learner: Learner, amount: float = 0.1) -> None:
    """Move the momentum encoder away from what it follows, so that a test tells the two apart."""
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            if name.startswith("momentum_"):
                parameter += amount


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """lightly's, of the first and the second views (2N, D) of N images, in both directions."""
    from lightly.loss import NegativeCosineSimilarity

    published, half = NegativeCosineSimilarity(), len(predictions) // 2
    directions = published(predictions[:half], targets[half:]) + published(predictions[half:], targets[:half])
    return directions / 2


@pytest.fixture
def small() -> SimpleNamespace:
    """`make`, `images`, `part_encoders` and `negative_cosine`."""
    return SimpleNamespace(make=make, images=images, part_encoders=part_encoders, negative_cosine=negative_cosine)


class Ranks:
    """What `collectives` uses of `torch.distributed`, for ranks that are threads of this process."""

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
def in_ranks(monkeypatch) -> Callable[[int, Callable[[int], Any]], list[Any]]:
    """`in_ranks(W, function)`: what `function(rank)` returns in each of W ranks that meet in their collectives.

    Real processes, with gloo, are in test_learner_ranks.py; these here cost nothing.
    """

    def run(world_size: int, function: Callable[[int], Any]) -> list[Any]:
        ranks = Ranks(world_size)
        monkeypatch.setattr(collectives, "dist", ranks)

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
