"""Euclidean distances between many points, a block of rows at a time.

Shapes: N and M points of F features.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_VALUES = 2**25
"""Distances held at a time: 128 MiB in float32, a few times that with what is made of them. Ours."""


def distance_blocks(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Slices of `points` (N, F) with their distances to all `others` (M, F): (n, M) float32 each, in order."""
    # About their common centre: |x|^2 + |y|^2 - 2 xy loses fewer digits there.
    centre = others.mean(dim=0)
    points, others = points - centre, others - centre
    squares = others.square().sum(dim=1)
    size = max(1, BLOCK_VALUES // len(others))
    for start in range(0, len(points), size):
        rows = slice(start, min(start + size, len(points)))
        block = points[rows]
        squared = torch.addmm(squares, block, others.T, alpha=-2) + block.square().sum(dim=1, keepdim=True)
        yield rows, squared.clamp_(min=0).sqrt_()


def neighbour_distances(points: Tensor, k: int) -> Tensor:
    """Distance from each point (N, F) to its k-th nearest other point, (N,); k below N."""
    result = points.new_empty(len(points))
    for rows, distances in distance_blocks(points, points):
        own = torch.arange(rows.start, rows.stop, device=points.device)
        distances[torch.arange(len(own), device=points.device), own] = torch.inf  # rounding may leave it above 0
        result[rows] = distances.kthvalue(k, dim=1).values
    return result


def nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance from each point (N, F) to the nearest of `others` (M, F), (N,), and its index, (N,) int64."""
    found = [distances.min(dim=1) for _, distances in distance_blocks(points, others)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
