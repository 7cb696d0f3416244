"""How much of their space features fill: what collapse takes away.

Shapes: N points of F features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-7
"""The small number in RankMe's eq. 1; the value is its authors'."""


def rankme(features: Tensor) -> float:
    """The effective rank of features (N, F), in [1, min(N, F)] (RankMe, Garrido et al. 2023, arXiv 2210.02885, eq. 1).

    `exp(-sum_k p_k log p_k)` with `p_k = s_k / sum s + epsilon`, of the singular values s. 0 where all are zero.
    """
    singular = torch.linalg.svdvals(features.double())
    total = singular.sum()
    if total == 0:
        return 0.0
    p = singular / total + EPSILON
    return math.exp(-(p * p.log()).sum().item())


def feature_spread(features: Tensor) -> float:
    """The standard deviation of features (N, F) brought to unit length, the mean over dimensions, times sqrt(F).

    1 for points that are spread evenly over the sphere, 0 for points that are all alike (Chen and He 2021, arXiv
    2011.10566, section 4.1). Features that are never negative stay below 1.
    """
    points = F.normalize(features.double(), dim=1)
    return points.std(dim=0, correction=0).mean().item() * math.sqrt(features.shape[1])
