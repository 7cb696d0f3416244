"""The Fréchet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017, arXiv 1706.08500,
equation 6). It compares only within one encoder and for sets of the same size: it falls as sets grow.

Shapes: N, M and H points of F features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..data import Permutation
from ..randomness import Key


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of (N, F) and (M, F), N and M at least 2; computed in float64."""
    (mean1, covariance1), (mean2, covariance2) = _moments(features), _moments(others)
    root = _square_root(covariance1)
    # C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2).
    eigenvalues = torch.linalg.eigvalsh(root @ covariance2 @ root)
    cross = eigenvalues.clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return distance.clamp(min=0).item()  # which leaves NaN as it is


def frechet_distances(real: Tensor, generated: Tensor, held_out: Tensor | None, key: Key) -> dict[str, float | None]:
    """Fréchet distances to the real images (N, F). They fall as sets grow, so only those of as many images compare.

    Args:
        real: (N, F).
        generated: (M, F).
        held_out: (H, F) of real images that were held out, in random order; None if there are none.
        key: which generated images are drawn.

    Returns:
        `frechet_distance`, of all that are generated; `frechet_distance_held_out`, of M that are held out, or of all
        if they are fewer; `frechet_distance_as_many`, to compare that with: of H that are generated, if H is below M.
        None for what there is not.
    """
    found: dict[str, float | None] = dict.fromkeys(
        ("frechet_distance", "frechet_distance_as_many", "frechet_distance_held_out")
    )
    found["frechet_distance"] = frechet_distance(real, generated)
    if held_out is not None:
        number = min(len(generated), len(held_out))
        found["frechet_distance_held_out"] = frechet_distance(real, held_out[:number])
        if number < len(generated):
            drawn = torch.from_numpy(Permutation(len(generated), key)(np.arange(number)))
            found["frechet_distance_as_many"] = frechet_distance(real, generated[drawn.to(generated.device)])
    return found


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(dim=0), features.T.cov().reshape(features.shape[1], features.shape[1])


def _square_root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix (F, F) whose eigenvalues are negative by rounding at most."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
