"""Which views are partners."""

import torch

from synthcl.learners.pairs import pair_views

TWO_VIEWS = torch.arange(8).repeat(2)
MIXED_GROUPS = torch.tensor([5, 6, 8, 5, 6, 8, 8, 8, 9, 9, 9])  # two views, two, four and three


def test_partners_of_a_group_of_two_are_its_two_views():
    pairs = pair_views(TWO_VIEWS)
    assert pairs.partner.tolist() == [*range(8, 16), *range(8)]
    assert pairs.weight.tolist() == [1.0] * 8 + [0.0] * 8


def test_partners_of_a_group_of_four_cross_its_halves():
    pairs = pair_views(torch.tensor([4, 4, 4, 4]))
    assert pairs.partner.tolist() == [2, 3, 0, 1]
    assert pairs.weight.tolist() == [1, 1, 0, 0]


def test_pairs_of_groups_of_different_sizes():
    partner, weight = pair_views(MIXED_GROUPS)
    assert partner.tolist() == [3, 4, 6, 0, 1, 7, 2, 5, 9, 10, 8]
    assert weight.tolist() == [1, 1, 1, 0, 0, 1, 0, 0, 0.5, 0.5, 0.5]
    assert weight.sum() == len(MIXED_GROUPS) / 2
