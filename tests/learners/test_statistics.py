"""Moments over pairs: loops over the pairs, in one process and over ranks."""

import torch

from synthcl.learners.pairs import pair_views
from synthcl.learners.statistics import num_pairs, pair_mean, pair_product, without_diagonal

MIXED = torch.tensor([5, 6, 8, 5, 6, 8, 8, 8, 9, 9, 9])  # two views, two, four and three: 5.5 pairs
TWO_RANKS = torch.tensor([0, 1, 0, 1, 2, 3, 2, 3])  # each half whole groups


def values(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def counted(groups):
    """Which view stands for how much of a pair: the first half of an even group, each view of an odd one by a half."""
    rows = {}
    for group in groups.unique():
        places = (groups == group).nonzero().flatten().tolist()
        even = len(places) % 2 == 0
        rows |= dict.fromkeys(places[: len(places) // 2] if even else places, 1.0 if even else 0.5)
    return rows


def test_they_are_means_over_the_pairs():
    x, y, pairs = values(11, 3), values(11, 2, seed=1), pair_views(MIXED)
    rows = counted(MIXED)
    assert num_pairs(pairs) == sum(rows.values()) == 5.5
    torch.testing.assert_close(pair_mean(x, pairs), sum(w * x[i] for i, w in rows.items()) / 5.5)
    torch.testing.assert_close(pair_mean(x[:, 0], pairs), sum(w * x[i, 0] for i, w in rows.items()) / 5.5)
    product = sum(w * torch.outer(x[i], y[i]) for i, w in rows.items()) / 5.5
    torch.testing.assert_close(pair_product(x, y, pairs), product)


def test_over_ranks_they_are_those_of_the_whole_batch(in_ranks):
    x = values(8, 3)

    def function(rank):
        share = x[4 * rank :][:4].clone().requires_grad_()
        pairs = pair_views(TWO_RANKS[4 * rank :][:4])
        mean, product = pair_mean(share, pairs), pair_product(share, share, pairs)
        (mean.square().sum() + product.square().sum()).backward()
        return num_pairs(pairs), mean.detach(), product.detach(), share.grad / 2

    whole, pairs = x.clone().requires_grad_(), pair_views(TWO_RANKS)
    mean, product = pair_mean(whole, pairs), pair_product(whole, whole, pairs)
    (mean.square().sum() + product.square().sum()).backward()
    found = in_ranks(2, function)
    for count, found_mean, found_product, _ in found:
        assert count == num_pairs(pairs)
        torch.testing.assert_close(found_mean, mean.detach())
        torch.testing.assert_close(found_product, product.detach())
    torch.testing.assert_close(torch.cat([gradient for *_, gradient in found]), whole.grad)


def test_a_matrix_without_its_diagonal_is_another_one():
    matrix = torch.arange(1.0, 10).view(3, 3)
    assert without_diagonal(matrix).tolist() == [[0, 2, 3], [4, 0, 6], [7, 8, 0]]
    assert matrix[0, 0] == 1
