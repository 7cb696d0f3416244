"""Precision, recall, density and coverage: how far generated samples lie among real ones, and how far they reach.

Each real point has a ball that reaches to its k-th nearest real neighbour. Precision is the part of the generated
points inside some real ball, recall the same with the parts exchanged (Kynkäänniemi et al. 2019, arXiv 1904.06991,
equations 1 and 2). Density counts the real balls that a generated point is in, over k; coverage is the part of the real
balls that hold a generated point (Naeem et al. 2020, arXiv 2002.09797, section 3).

Shapes: N real and M generated points of F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .distances import distance_blocks, neighbour_distances

NEAREST_K = 5
"""Recommended for density and coverage (arXiv 2002.09797)."""


@dataclass(frozen=True)
class Manifold:
    """What the balls say.

    Attributes:
        recall, coverage: of the whole set, in [0, 1].
        inside: (M,) bool, whether a generated point is in some real ball.
        balls: (M,) int64, in how many.
        k: the neighbour that a ball reaches to.
    """

    recall: float
    coverage: float
    inside: Tensor
    balls: Tensor
    k: int

    @property
    def precision(self) -> float:
        """The part of the samples that lie on the manifold of real images, in [0, 1]."""
        return self.inside.double().mean().item()

    @property
    def density(self) -> float:
        """0 or more; 1 is expected of points like the real ones."""
        return self.balls.double().mean().item() / self.k


def measure_manifold(real: Tensor, generated: Tensor, k: int = NEAREST_K) -> Manifold:
    """The four measures, with memory for a block of the N x M distances only.

    Args:
        real: (N, F) float32, N above k.
        generated: (M, F) float32, M above k.
        k: the neighbour that a ball reaches to.
    """
    real_radii, generated_radii = neighbour_distances(real, k), neighbour_distances(generated, k)
    balls = torch.zeros(len(generated), dtype=torch.int64, device=real.device)
    recalled = covered = 0
    for rows, distances in distance_blocks(real, generated):
        radii = real_radii[rows, None]
        balls += (distances < radii).sum(dim=0)
        recalled += int((distances < generated_radii).any(dim=1).sum())
        covered += int((distances.min(dim=1).values < radii[:, 0]).sum())
    return Manifold(recalled / len(real), covered / len(real), balls > 0, balls, k)
