"""Contrast across the halves of groups: the formula in loops, and the published loss of two views."""

import math

import pytest
import torch
from torch.nn import functional as F

from synthcl.learners.halves import half_contrast
from synthcl.learners.pairs import in_second_half

TWO_VIEWS = torch.arange(5).repeat(2)
MIXED = torch.tensor([7, 7, 4, 4, 4, 4, 9, 9, 9, 1, 1])  # two views, four, three, two


def unit(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, 6, generator=generator, dtype=torch.float64), dim=1).requires_grad_()


def naive(anchors, others, groups, temperature):
    """One view at a time, and one positive at a time."""
    number = {i: sum(groups[j] == groups[i] for j in range(i)) for i in range(len(groups))}
    size = {i: sum(groups[j] == groups[i] for j in range(len(groups))) for i in range(len(groups))}
    second = {i: number[i] >= size[i] // 2 for i in range(len(groups))}
    losses = []
    for i in range(len(groups)):
        positives = [j for j in range(len(groups)) if j != i and groups[j] == groups[i]]
        negatives = [j for j in range(len(groups)) if groups[j] != groups[i] and second[j] != second[i]]
        exps = {j: torch.exp(anchors[i] @ others[j] / temperature) for j in positives + negatives}
        losses.append(-sum(torch.log(exps[p] / sum(exps.values())) for p in positives) / len(positives))
    return torch.stack(losses)


def test_the_second_half_is_the_larger_one_of_an_odd_group():
    assert in_second_half(MIXED).tolist() == [False, True, False, False, True, True, False, True, True, False, True]


@pytest.mark.parametrize("groups", [TWO_VIEWS, MIXED], ids=["two views", "mixed"])
def test_it_is_the_formula_with_its_gradients(groups):
    anchors, others = unit(len(groups), 0), unit(len(groups), 1)
    found, expected = half_contrast(anchors, others, groups, 0.3), naive(anchors, others, groups.tolist(), 0.3)
    torch.testing.assert_close(found, expected)
    weights = torch.arange(1.0, len(groups) + 1, dtype=torch.float64)
    for mine, reference in zip(
        torch.autograd.grad((weights * found).sum(), (anchors, others)),
        torch.autograd.grad((weights * expected).sum(), (anchors, others)),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference)


def test_of_two_views_it_is_cross_entropy_over_the_other_views_of_all_images():
    q, k = unit(10, 0), unit(10, 1)
    first, second = slice(5), slice(5, 10)
    labels = torch.arange(5)
    expected = [
        F.cross_entropy(q[a] @ k[b].T / 0.2, labels, reduction="none") for a, b in ((first, second), (second, first))
    ]
    torch.testing.assert_close(half_contrast(q, k, TWO_VIEWS, 0.2), torch.cat(expected))


def test_by_hand():
    """Two images of two views; the anchor meets its positive at cosine 1 and its one negative at 0."""
    anchors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = half_contrast(anchors, anchors, torch.tensor([0, 0, 1, 1]), 0.5)
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-2))] * 4)


def test_positives_that_all_agree_leave_the_least_loss():
    """Three positives at cosine 1 and no weight on the negatives: log 3."""
    anchors = torch.tensor([[1.0, 0.0]] * 4 + [[-1.0, 0.0]] * 4)
    found = half_contrast(anchors, anchors, torch.tensor([0] * 4 + [1] * 4), 0.1)
    assert found.tolist() == pytest.approx([math.log(3)] * 8)
