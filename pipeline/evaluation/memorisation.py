"""Whether a generator copies its training images: distances to the nearest of them, and of images it never saw.

Shapes: M generated, N training and H held-out points of F features.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import mannwhitneyu
from torch import Tensor

from .distances import nearest, neighbour_distances


@dataclass(frozen=True)
class Memorisation:
    """What the distances say of each generated point.

    Attributes:
        train_distance, held_out_distance: (M,) to the nearest training and held-out point; among equally many of
            both, since the nearest of more points is nearer. The second is None without held-out points.
        train_gap, held_out_gap: (M,) and (H,) from generated and from held-out points to the nearest of all N training
            points. The second is None without held-out points.
        authentic: (M,) bool: not nearer to its nearest training point than that is to the next training point (Alaa et
            al. 2022, arXiv 2102.08921); against all N training points.
    """

    train_gap: Tensor
    held_out_gap: Tensor | None
    train_distance: Tensor
    held_out_distance: Tensor | None
    authentic: Tensor

    def summary(self) -> dict[str, float | None]:
        """`authenticity`, `nearer_to_train`, `nearer_than_held_out`, and the median distances.

        `nearer_to_train` is the part of the generated points that are nearer to training than to held-out points;
        `nearer_than_held_out` how often a generated point is nearer to the training points than a held-out one is
        (Meehan et al. 2020, arXiv 2004.05675). Both are one half for a generator as good as the data that does not
        copy. A poor one that copies shows in the first rather than in the second, and one that copies the few of many
        training points in the second rather than in the first.
        """
        summary: dict[str, float | None] = {
            "authenticity": self.authentic.double().mean().item(),
            "nearer_to_train": None,
            "nearer_than_held_out": None,
            "train_distance": self.train_gap.median().item(),
            "held_out_distance": None,
        }
        if self.held_out_distance is not None and self.held_out_gap is not None:
            summary["nearer_to_train"] = _part_below(self.train_distance, self.held_out_distance)
            summary["nearer_than_held_out"] = _rank_below(self.train_gap, self.held_out_gap)
            summary["held_out_distance"] = self.held_out_gap.median().item()
        return summary


def measure_memorisation(generated: Tensor, train: Tensor, held_out: Tensor | None) -> Memorisation:
    """Distances of generated points (M, F) to training points (N, F) and held-out points (H, F).

    Where there are more training points than held-out ones or the reverse, as many of each are taken for comparing,
    the first ones: give them in random order.
    """
    gap, which = nearest(generated, train)
    authentic = gap >= neighbour_distances(train, 1)[which]
    if held_out is None:
        return Memorisation(gap, None, gap, None, authentic)
    held_out_gap, _ = nearest(held_out, train)
    size = min(len(train), len(held_out))
    distance = gap if size == len(train) else nearest(generated, train[:size])[0]
    held_out_distance, _ = nearest(generated, held_out[:size])
    return Memorisation(gap, held_out_gap, distance, held_out_distance, authentic)


def _part_below(first: Tensor, second: Tensor) -> float:
    """How often, pair by pair, the first is the smaller, ties counting half."""
    return ((first < second).double() + 0.5 * (first == second).double()).mean().item()


def _rank_below(first: Tensor, second: Tensor) -> float:
    """How often any of the first is smaller than any of the second, ties counting half: Mann and Whitney's U."""
    # As doubles, since scipy counts in the type that it is given. The test itself is not asked for: its quickest.
    large, small = (points.double().cpu().numpy() for points in (second, first))
    return float(mannwhitneyu(large, small, method="asymptotic").statistic) / (len(first) * len(second))
