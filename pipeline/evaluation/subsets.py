"""Parts of a labeled set: the fraction whose labels a probe may see, and folds to choose its regularisation on.

Shapes: N samples, labels (N,) int64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..data.labels import rank_within_class
from ..randomness import Key


def labeled_subset(labels: Tensor, fraction: float, key: Key) -> Tensor:
    """A class-balanced part of a set: `fraction` of each class, rounded up, as in the few-label protocols of the field.

    With the same key a smaller part lies within each larger one, so a curve over fractions is one growing set.

    Args:
        labels: (N,) int64.
        fraction: in (0, 1]; 1 is the whole set.
        key: which part.

    Returns:
        (M,) int64 indices, ascending.
    """
    if fraction >= 1:
        return torch.arange(len(labels))
    order, rank, size = rank_within_class(labels, key)
    # Floating point must not make 0.07 of 100 eight samples.
    wanted = torch.tensor([math.ceil(round(fraction * n, 6)) for n in size.tolist()])
    return order[rank < wanted].sort().values


def shot_subset(labels: Tensor, shots: int, key: Key) -> Tensor:
    """So many samples of each class at random; with the same key a smaller number lies within each larger one.

    Args:
        labels: (N,) int64; every class has `shots` samples or more.
        shots: samples of a class.
        key: which ones.

    Returns:
        (C * shots,) int64 indices, ascending.
    """
    order, rank, _ = rank_within_class(labels, key)
    return order[rank < shots].sort().values


def folds(labels: Tensor, num_folds: int, key: Key) -> Tensor:
    """Each sample's fold, (N,) int64 in [0, num_folds), every class shared out evenly."""
    order, rank, _ = rank_within_class(labels, key)
    fold = torch.empty_like(order)
    fold[order] = rank % num_folds
    return fold
