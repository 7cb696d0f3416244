"""Barlow Twins: the published loss of two views, equations 1 and 2 in loops, and what the learner gives."""

import torch
from lightly.loss import BarlowTwinsLoss
from torch.nn import functional as F

from synthcl.learners.barlow import barlow_twins_loss
from synthcl.learners.pairs import pair_views

TWO_VIEWS = torch.arange(8).repeat(2)


def projections(n: int, *, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(left, right, off_diagonal_weight):
    """Of pairs (P, D), one correlation at a time."""
    total = 0.0
    for i in range(left.shape[1]):
        for j in range(right.shape[1]):
            a, b = left[:, i] - left[:, i].mean(), right[:, j] - right[:, j].mean()
            correlation = (a @ b) / (a.norm() * b.norm())
            total += (1 - correlation) ** 2 if i == j else off_diagonal_weight * correlation**2
    return total


def test_the_loss_is_the_equations_written_out():
    z = projections(16) * 100  # so large that the epsilon of the variances does not show
    loss, _ = barlow_twins_loss(z, pair_views(TWO_VIEWS), 0.02)
    torch.testing.assert_close(loss, naive(z[:8], z[8:], 0.02))


def test_the_learner_has_the_loss_of_its_projections_with_its_gradient(small):
    learner, views = small.make("barlow", off_diagonal_weight=0.3), small.images(16)
    loss, hardness, embeddings = learner(views, TWO_VIEWS)
    z = learner.projector(learner.backbone(views))
    expected = BarlowTwinsLoss(lambda_param=0.3)(z[:8], z[8:])
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(hardness, barlow_twins_loss(z, pair_views(TWO_VIEWS), 0.3)[1])
    torch.testing.assert_close(embeddings, F.normalize(z, dim=1).detach())
    parameters = list(learner.parameters())
    for found, reference in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(found, reference)


def test_barlow_twins_of_two_views_is_the_published_one():
    z = projections(16)
    loss, _ = barlow_twins_loss(z, pair_views(TWO_VIEWS), 5e-3)
    torch.testing.assert_close(loss, BarlowTwinsLoss(lambda_param=5e-3)(z[:8], z[8:]))


def test_barlow_twins_of_perfectly_correlated_and_whitened_views_is_zero():
    z = torch.linalg.qr(F.pad(projections(32, dim=4), (1, 0), value=1.0)).Q[:, 1:]  # centred, orthogonal columns
    loss, _ = barlow_twins_loss(z.repeat(2, 1) * 100, pair_views(torch.arange(32).repeat(2)), 1.0)
    assert loss < 1e-6
