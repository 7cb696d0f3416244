"""Whether a generator copies its training images: distances to the nearest of them, and of images it never saw.

Shapes: M generated, N training and H held-out points of F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .distances import nearest, neighbour_distances


@dataclass(frozen=True)
class Memorisation:
    """What the distances say of each generated point.

    Attributes:
        train_distance, held_out_distance: (M,) to the nearest training and held-out point; among equally many of
            both, since the nearest of more points is nearer. The second is None without held-out points.
        authentic: (M,) bool: not nearer to its nearest training point than that is to the next training point (Alaa et
            al. 2022, arXiv 2102.08921, equation 7); against all N training points.
    """

    train_distance: Tensor
    held_out_distance: Tensor | None
    authentic: Tensor

    def summary(self) -> dict[str, float | None]:
        """`authenticity`; `nearer_to_train`, the part nearer to training than to held-out points, one half for a
        generator that does not copy; and the median distances."""
        held_out = self.held_out_distance
        return {
            "authenticity": self.authentic.double().mean().item(),
            "nearer_to_train": None if held_out is None else _part_below(self.train_distance, held_out),
            "train_distance": self.train_distance.median().item(),
            "held_out_distance": None if held_out is None else held_out.median().item(),
        }


def measure_memorisation(generated: Tensor, train: Tensor, held_out: Tensor | None) -> Memorisation:
    """Distances of generated points (M, F) to training points (N, F) and held-out points (H, F).

    Where there are more training points than held-out ones or the reverse, as many of each are taken for comparing,
    the first ones: give them in random order.
    """
    distance, which = nearest(generated, train)
    authentic = distance >= neighbour_distances(train, 1)[which]
    if held_out is None:
        return Memorisation(distance, None, authentic)
    size = min(len(train), len(held_out))
    if size < len(train):
        distance, _ = nearest(generated, train[:size])
    held_out_distance, _ = nearest(generated, held_out[:size])
    return Memorisation(distance, held_out_distance, authentic)


def _part_below(first: Tensor, second: Tensor) -> float:
    """How often the first is the smaller, ties counting half."""
    return ((first < second).double() + 0.5 * (first == second).double()).mean().item()
