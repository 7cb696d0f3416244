"""Cosine similarity."""

import torch

from synthcl.learners.cosine import cosine_similarity
from synthcl.learners.pairs import pair_views

TWO_VIEWS = torch.arange(8).repeat(2)


def projections(n: int, *, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cosine_similarity_of_two_views_is_the_published_one(small):
    p, z = projections(16), projections(16, seed=1)
    found = -cosine_similarity(p, z[pair_views(TWO_VIEWS).partner]).mean()
    torch.testing.assert_close(found, small.negative_cosine(p, z))
