"""Learners around a small smooth backbone, in float64: for tests of one method against its formula."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from synthcl.learners import Learner, create_learner


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
