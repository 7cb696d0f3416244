"""Alignment and uniformity of features on the unit sphere (Wang and Isola 2020, arXiv 2005.10242, section
4.1).

Shapes: N points of F features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .distances import distance_blocks


def alignment(features: Tensor, positives: Tensor, alpha: float = 2.0) -> float:
    """Mean of |x - y|^alpha over positive pairs, rows of (N, F) and (N, F), brought to unit length; 0 is perfect."""
    distances = (F.normalize(features, dim=1) - F.normalize(positives, dim=1)).norm(dim=1)
    return distances.double().pow(alpha).mean().item()


def uniformity(features: Tensor, t: float = 2.0) -> float:
    """log of the mean of exp(-t |x - y|^2) over all pairs of different rows of (N, F), brought to unit length.

    N is 2 or more. The lower, the more evenly spread; 0 if all are alike.
    """
    points = F.normalize(features, dim=1)
    total = 0.0
    for rows, distances in distance_blocks(points, points):
        own = torch.arange(rows.start, rows.stop, device=points.device)
        distances[torch.arange(len(own), device=points.device), own] = torch.inf
        total += distances.square_().mul_(-t).exp_().double().sum().item()
    return math.log(total / (len(points) * (len(points) - 1)))
