"""Distances in blocks are those of pairs."""

import torch

from synthcl.pipeline.evaluation.distances import nearest, neighbour_distances


def test_distances_agree_with_those_of_pairs(points, block_values):
    a, b = points(40), points(30, seed=1)
    matrix = torch.cdist(a.double(), b.double())
    value, which = nearest(a, b)
    torch.testing.assert_close(value.double(), matrix.min(1).values, rtol=1e-5, atol=1e-5)
    assert torch.equal(which, matrix.argmin(1))
    own = torch.cdist(a.double(), a.double()).sort(dim=1).values[:, 3]
    torch.testing.assert_close(neighbour_distances(a, 3).double(), own, rtol=1e-5, atol=1e-5)


def test_equal_points_are_each_others_neighbours(points):
    twice = points(10, shift=50.0).repeat(2, 1)
    assert neighbour_distances(twice, 1).max() < 0.05 < neighbour_distances(twice, 2).min()
