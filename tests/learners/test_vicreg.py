"""VICReg: the published loss of two views, equations 1 to 6 in loops, and what the learner gives."""

import pytest
import torch
from lightly.loss import VICRegLoss
from torch.nn import functional as F

from synthcl.learners.pairs import pair_views
from synthcl.learners.vicreg import EPSILON, Weights, vicreg_loss

TWO_VIEWS = torch.arange(8).repeat(2)


def projections(n: int, *, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(left, right, weights):
    """Of pairs (P, D): as in the authors' code, invariance over dimensions too, variance the mean of both sides."""
    num_pairs, dim = left.shape
    invariance = sum((a - b).square().sum() for a, b in zip(left, right, strict=True)) / (num_pairs * dim)
    variance = covariance = torch.zeros((), dtype=left.dtype)
    for side in (left, right):
        for i in range(dim):
            variance = variance + F.relu(1 - (side[:, i].var() + EPSILON).sqrt()) / dim / 2
            for j in (j for j in range(dim) if j != i):
                a, b = side[:, i] - side[:, i].mean(), side[:, j] - side[:, j].mean()
                covariance = covariance + (a @ b / (num_pairs - 1)) ** 2 / dim
    return weights.invariance * invariance + weights.variance * variance + weights.covariance * covariance


@pytest.mark.parametrize("weights", [Weights(1, 0, 0), Weights(0, 1, 0), Weights(0, 0, 1), Weights(25.0, 20.0, 2.0)])
def test_each_term_is_its_equation_written_out(weights):
    z = projections(16) * 0.7  # some deviations below 1, some above
    loss, _ = vicreg_loss(z, pair_views(TWO_VIEWS), weights)
    torch.testing.assert_close(loss, naive(z[:8], z[8:], weights))


def test_the_learner_has_the_loss_of_its_projections_with_its_gradient(small):
    weights = Weights(3.0, 5.0, 7.0)
    options = {f"{name}_weight": value for name, value in weights._asdict().items()}
    learner, views = small.make("vicreg", **options), small.images(16)
    loss, hardness, embeddings = learner(views, TWO_VIEWS)
    z = learner.projector(learner.backbone(views))
    expected = naive(z[:8], z[8:], weights)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(hardness, vicreg_loss(z, pair_views(TWO_VIEWS), weights)[1])
    torch.testing.assert_close(embeddings, F.normalize(z, dim=1).detach())
    parameters = list(learner.parameters())
    for found, reference in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(found, reference)


def test_vicreg_of_two_views_is_the_published_one():
    z = projections(16) * 0.7
    loss, _ = vicreg_loss(z, pair_views(TWO_VIEWS), Weights(25.0, 20.0, 2.0))
    torch.testing.assert_close(loss, VICRegLoss(lambda_param=25, mu_param=20, nu_param=2)(z[:8], z[8:]))
