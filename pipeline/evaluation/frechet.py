"""The Fréchet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017, arXiv 1706.08500,
equation 6). It compares only within one encoder and for sets of the same size: it falls as sets grow.

Shapes: N and M points of F features.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of (N, F) and (M, F), N and M at least 2; computed in float64."""
    (mean1, covariance1), (mean2, covariance2) = _moments(features), _moments(others)
    root = _square_root(covariance1)
    # C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2).
    eigenvalues = torch.linalg.eigvalsh(root @ covariance2 @ root)
    cross = eigenvalues.clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return max(0.0, distance.item())


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(dim=0), features.T.cov().reshape(features.shape[1], features.shape[1])


def _square_root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix (F, F) whose eigenvalues are negative by rounding at most."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
