"""PPCL and MoCo's loss: the equation written out, the published losses for two views, closed forms, invariances."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch.nn import functional as F

from synthcl.learners.losses import attraction, contrastive_loss, ppcl, queue_contrast

MIXED_GROUPS = torch.tensor([7, 3, 7, 3, 50, 50, 50, 50, 9, 9, 9])  # two views, two, four and three


def embeddings(n: int, *, dim: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64), dim=1).to(dtype)


def naive_ppcl(z, groups, temperature):
    """Khosla et al. eq. 2, one term at a time."""
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if groups[p] == groups[i]]
        denominator = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        logs = [math.log(math.exp(float(z[i] @ z[p]) / temperature) / denominator) for p in positives]
        losses.append(-sum(logs) / len(positives))
    return torch.tensor(losses, dtype=torch.float64)


def naive_queue_contrast(q, k, groups, queue, temperature):
    losses = []
    for i in range(len(q)):
        positives = [p for p in range(len(q)) if p != i and groups[p] == groups[i]]
        denominator = sum(math.exp(float(q[i] @ k[p]) / temperature) for p in positives)
        denominator += sum(math.exp(float(q[i] @ key) / temperature) for key in queue)
        logs = [math.log(math.exp(float(q[i] @ k[p]) / temperature) / denominator) for p in positives]
        losses.append(-sum(logs) / len(positives))
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_ppcl_is_the_equation_written_out(temperature):
    z = embeddings(len(MIXED_GROUPS))
    torch.testing.assert_close(ppcl(z, MIXED_GROUPS, temperature), naive_ppcl(z, MIXED_GROUPS, temperature))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_queue_contrast_is_the_equation_written_out(temperature):
    q, k, queue = (embeddings(n, seed=s) for s, n in enumerate((11, 11, 5)))
    losses = queue_contrast(q, k, MIXED_GROUPS, queue, temperature)
    torch.testing.assert_close(losses, naive_queue_contrast(q, k, MIXED_GROUPS, queue, temperature))


def naive_attraction(z, groups, num_real=0):
    """The mean squared distance to the other views of the group, to the real ones alone where it has any."""
    losses = []
    for i in range(len(z)):
        others = [p for p in range(len(z)) if p != i and groups[p] == groups[i]]
        others = [p for p in others if p < num_real] or others
        losses.append(sum(float((z[i] - z[p]).square().sum()) for p in others) / len(others))
    return torch.tensor(losses, dtype=torch.float64)


def test_attraction_is_the_squared_distance_to_the_other_views():
    z = embeddings(len(MIXED_GROUPS))
    torch.testing.assert_close(attraction(z, MIXED_GROUPS), naive_attraction(z, MIXED_GROUPS))
    assert torch.autograd.gradcheck(lambda z: attraction(z, MIXED_GROUPS), z.requires_grad_())
    apart = F.normalize(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), dim=1)
    assert attraction(apart, torch.tensor([3, 3])).tolist() == [4.0, 4.0]


def test_attraction_of_variations_is_to_real_views_alone():
    """Two real images of two views, each with a variation of two; and a latent of four."""
    groups, num_real = torch.tensor([3, 3, 7, 7, 7, 7, 3, 3, 50, 50, 50, 50]), 4
    z = embeddings(len(groups))
    found = attraction(z, groups, num_real)
    torch.testing.assert_close(found, naive_attraction(z, groups, num_real))
    # As the authors' code has it: 2 - 2 (x * y).sum(dim=-1) of a real view and a synthetic one.
    assert found[6].item() == pytest.approx(sum(2 - 2 * float(z[6] @ z[real]) for real in (0, 1)) / 2)
    assert torch.autograd.gradcheck(lambda z: attraction(z, groups, num_real)[num_real:], z.requires_grad_())


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_ppcl_of_two_views_is_ntxent(temperature):
    z = embeddings(16, dtype=torch.float32)
    expected = NTXentLoss(temperature=temperature)(z[:8], z[8:])
    torch.testing.assert_close(ppcl(z, torch.arange(8).repeat(2), temperature).mean(), expected)


def test_queue_contrast_of_two_views_is_ntxent_with_a_memory_bank_in_both_directions():
    q, k, queue = (embeddings(n, seed=s, dtype=torch.float32) for s, n in enumerate((16, 16, 32)))
    published = NTXentLoss(temperature=0.1, memory_bank_size=(32, 6))
    published.memory_bank.bank = queue
    expected = (published(q[:8], k[8:]) + published(q[8:], k[:8])) / 2
    torch.testing.assert_close(queue_contrast(q, k, torch.arange(8).repeat(2), queue, 0.1).mean(), expected)


def test_ppcl_of_orthogonal_groups_in_closed_form():
    # Views of a group coincide, groups are orthogonal: -log(e^(1/t) / ((V - 1) e^(1/t) + (G - 1) V)).
    num_groups, num_views, temperature = 3, 4, 0.5
    z = torch.eye(num_groups).repeat_interleave(num_views, dim=0)
    groups = torch.arange(num_groups).repeat_interleave(num_views)
    top = math.exp(1 / temperature)
    expected = -math.log(top / ((num_views - 1) * top + (num_groups - 1) * num_views))
    torch.testing.assert_close(ppcl(z, groups, temperature), torch.full((12,), expected))


def test_ppcl_of_embeddings_that_are_all_the_same_is_the_logarithm_of_the_candidates():
    z = embeddings(1).repeat(len(MIXED_GROUPS), 1)
    expected = torch.full((len(MIXED_GROUPS),), math.log(len(MIXED_GROUPS) - 1), dtype=torch.float64)
    torch.testing.assert_close(ppcl(z, MIXED_GROUPS, 0.1), expected)


def test_queue_contrast_with_a_queue_of_positives_in_closed_form():
    z = embeddings(1).repeat(4, 1)
    losses = queue_contrast(z, z, torch.tensor([0, 0, 1, 1]), z[:1].repeat(9, 1), 0.2)
    torch.testing.assert_close(losses, torch.full((4,), math.log(10), dtype=torch.float64))


def test_queue_contrast_does_not_see_the_keys_of_other_groups_nor_a_views_own():
    q, k, queue = (embeddings(n, seed=s) for s, n in enumerate((4, 4, 5)))
    groups = torch.tensor([0, 0, 1, 1])
    other = k.clone()
    other[[0, 2, 3]] = embeddings(3, seed=9)
    assert queue_contrast(q, k, groups, queue, 0.2)[0] == queue_contrast(q, other, groups, queue, 0.2)[0]


def test_losses_follow_a_permutation_of_the_views():
    order = torch.randperm(len(MIXED_GROUPS), generator=torch.Generator().manual_seed(1))
    q, k, queue = (embeddings(n, seed=s) for s, n in enumerate((11, 11, 5)))
    torch.testing.assert_close(ppcl(q[order], MIXED_GROUPS[order], 0.2), ppcl(q, MIXED_GROUPS, 0.2)[order])
    permuted = queue_contrast(q[order], k[order], MIXED_GROUPS[order], queue, 0.2)
    torch.testing.assert_close(permuted, queue_contrast(q, k, MIXED_GROUPS, queue, 0.2)[order])


def test_losses_do_not_change_with_a_rotation_of_the_embeddings_or_with_the_names_of_the_groups():
    rotation = torch.linalg.qr(embeddings(6, seed=3)).Q
    q, k, queue = (embeddings(n, seed=s) for s, n in enumerate((11, 11, 5)))
    torch.testing.assert_close(ppcl(q @ rotation, MIXED_GROUPS, 0.2), ppcl(q, MIXED_GROUPS, 0.2))
    rotated = queue_contrast(q @ rotation, k @ rotation, MIXED_GROUPS * 3 + 1, queue @ rotation, 0.2)
    torch.testing.assert_close(rotated, queue_contrast(q, k, MIXED_GROUPS, queue, 0.2))


def test_gradients_agree_with_finite_differences():
    q, k, queue = (embeddings(n, seed=s) for s, n in enumerate((11, 11, 5)))
    q.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: ppcl(z, MIXED_GROUPS, 0.3), q)
    assert torch.autograd.gradcheck(lambda z: queue_contrast(z, k, MIXED_GROUPS, queue, 0.3), q)


def test_a_tiny_temperature_does_not_overflow():
    z = embeddings(11, dtype=torch.float32).requires_grad_()
    losses = ppcl(z, MIXED_GROUPS, 1e-4)
    losses.mean().backward()
    assert losses.isfinite().all()
    assert z.grad.isfinite().all()


def test_a_positive_far_away_is_harder():
    z = embeddings(8)
    groups = torch.arange(4).repeat_interleave(2)
    z[1::2] = z[0::2]
    z[1] = -z[0]
    losses = ppcl(z, groups, 0.5)
    assert losses[:2].min() > losses[2:].max()


def test_a_view_without_positives_gives_nan_rather_than_a_number_that_means_nothing():
    losses = ppcl(embeddings(3), torch.tensor([0, 0, 1]), 0.5)
    assert losses[:2].isfinite().all()
    assert losses[2].isnan()


def test_losses_are_computed_in_float32_under_autocast():
    z = embeddings(11, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ppcl(z, MIXED_GROUPS, 0.1)
        queued = queue_contrast(z, z, MIXED_GROUPS, z, 0.1)
    assert torch.equal(inside, ppcl(z, MIXED_GROUPS, 0.1))
    assert torch.equal(queued, queue_contrast(z, z, MIXED_GROUPS, z, 0.1))


def test_contrastive_loss_ignores_what_is_no_candidate():
    logits = torch.tensor([[1.0, 2.0, 1e30]])
    loss = contrastive_loss(logits, torch.tensor([[True, False, False]]), torch.tensor([[True, True, False]]))
    torch.testing.assert_close(loss, torch.tensor([math.log(1 + math.e)]))
