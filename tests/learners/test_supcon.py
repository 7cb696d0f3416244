"""SupCon against its equation, one term at a time, and against SimCLR where there are no classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from synthcl.learners import create_backbone, create_learner, learner_options
from synthcl.learners.base import SyntheticTerms
from synthcl.learners.losses import ppcl, supcon

GROUPS = torch.tensor([7, 3, 7, 3, 50, 50, 50, 9, 9])
LABELS = torch.tensor([1, 0, 1, 0, -1, -1, -1, 0, 0])


def embeddings(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, 6, generator=generator, dtype=torch.float64), dim=1)


def naive(z, groups, labels, temperature, num_real=None):
    """Khosla et al. eq. 2, one term at a time."""
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        if num_real is not None and i < num_real:
            others = [a for a in others if a < num_real]
        positives = [p for p in others if groups[p] == groups[i] or (labels[i] >= 0 and labels[p] == labels[i])]
        denominator = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        logs = [math.log(math.exp(float(z[i] @ z[p]) / temperature) / denominator) for p in positives]
        losses.append(-sum(logs) / len(positives))
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("num_real", [None, 4])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_loss_is_the_equation_written_out(temperature, num_real):
    z = embeddings(len(GROUPS))
    expected = naive(z, GROUPS, LABELS, temperature, num_real)
    torch.testing.assert_close(supcon(z, GROUPS, LABELS, temperature, num_real), expected)


def test_without_any_class_it_is_ppcl():
    z = embeddings(len(GROUPS))
    torch.testing.assert_close(supcon(z, GROUPS, torch.full_like(GROUPS, -1), 0.1), ppcl(z, GROUPS, 0.1))


def test_its_gradient_is_that_of_differences():
    z = embeddings(len(GROUPS)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: supcon(z, GROUPS, LABELS, 0.5), z)


def learner(name: str = "supcon", **options):
    torch.manual_seed(0)
    return create_learner(name, create_backbone("resnet10-w8", image_size=8), hidden_dim=16, embedding_dim=8, **options)


@pytest.fixture
def views() -> torch.Tensor:
    return torch.randn(len(GROUPS), 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_its_temperature_is_the_papers():
    assert learner_options("supcon")["temperature"] == 0.1


def test_labels_make_the_difference_to_simclr(views):
    plain = learner("simclr", temperature=0.1)(views, GROUPS)
    assert torch.equal(learner()(views, GROUPS).hardness, plain.hardness)
    output = learner()(views, GROUPS, labels=LABELS)
    expected = naive(output.embeddings.double(), GROUPS, LABELS, 0.1).float()
    torch.testing.assert_close(output.hardness, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.loss, output.hardness.mean())
    assert not torch.allclose(output.hardness, plain.hardness, atol=1e-2)


def test_real_views_without_synthetic_negatives_see_real_ones_alone(views):
    output = learner(synthetic_negatives=False)(views, GROUPS, 4, labels=LABELS)
    expected = naive(output.embeddings.double(), GROUPS, LABELS, 0.1, 4).float()
    torch.testing.assert_close(output.hardness, expected, rtol=1e-4, atol=1e-4)


def test_synthetic_views_have_clsps_loss_where_asked_for(views):
    output = learner(synthetic=SyntheticTerms(loss="clsp"))(views, GROUPS, 4, labels=LABELS)
    z = output.embeddings.double()
    torch.testing.assert_close(
        output.hardness[:4], naive(z[:4], GROUPS[:4], LABELS[:4], 0.1).float(), rtol=1e-4, atol=1e-4
    )
    assert (output.hardness[4:] <= 4).all()
