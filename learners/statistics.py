"""Moments of paired embeddings over the pairs of all processes, with gradient, for the methods that decorrelate.

Shapes: N views in this process, each with its weight; D dimensions. The weights of all processes sum to P, the number
of pairs.
"""

from __future__ import annotations

from torch import Tensor

from .collectives import sum_with_gradient, world_size
from .pairs import Pairs


def num_pairs(pairs: Pairs) -> float:
    """P, in all processes together."""
    return world_size() * len(pairs.weight) / 2


def pair_mean(values: Tensor, pairs: Pairs) -> Tensor:
    """The mean over all pairs of values (N, ...) that each has, in every process."""
    weight = pairs.weight.to(values.dtype).view(-1, *[1] * (values.dim() - 1))
    return sum_with_gradient((weight * values).sum(dim=0)) / num_pairs(pairs)


def pair_product(left: Tensor, right: Tensor, pairs: Pairs) -> Tensor:
    """The mean over all pairs of the outer product of their rows (N, D) and (N, E): (D, E), in every process."""
    weight = pairs.weight.to(left.dtype)[:, None]
    return sum_with_gradient((weight * left).T @ right) / num_pairs(pairs)


def without_diagonal(matrix: Tensor) -> Tensor:
    """A square matrix (D, D) with zeros in its diagonal."""
    return matrix - matrix.diagonal().diag()
