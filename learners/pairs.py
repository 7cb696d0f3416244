"""Pairs of views, for methods that compare views two by two.

View i of a group of V is paired with view (i + V // 2) mod V. In a group of two these are the two views. In a group of
four, (0, 2) and (1, 3): where the first half shows G(z) and the second half G_ema(z), each pair crosses the generators,
which is the point of having two. All V (V - 1) pairs would give views of larger groups more weight, for more work; here
every view has one partner and weighs the same. The choice is ours: these methods are published for two views.

Shapes: N views in this process.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .losses import same_group


class Pairs(NamedTuple):
    """The pairs (i, partner[i]) of N views."""

    partner: Tensor
    """(N,) int64: the view that each view is compared with."""
    weight: Tensor
    """(N,) float32: how much (i, partner[i]) counts where a pair and its mirror image are to count once: 1 and 0, or
    1/2 each in the cycle of an odd group. They sum to N / 2, whatever the groups, without a look at their values."""

    def of_both(self, values: Tensor) -> Tensor:
        """Values (N,) of pairs (i, partner[i]), given to both views of each pair that counts."""
        return torch.where(self.weight > 0, values, values[self.partner])


def pair_views(groups: Tensor) -> Pairs:
    """The pairs of the views of a batch.

    Args:
        groups: (N,) integers. Views of a group stand in the order of their numbering, anywhere in the batch.
    """
    same = same_group(groups)
    place, size = _places(same)
    partner_place = (place + size // 2) % size
    partner = (same & (place[None] == partner_place[:, None])).int().argmax(dim=1)
    first_half = (place < size // 2).float()
    return Pairs(partner, torch.where(size % 2 == 0, first_half, 0.5))


def in_second_half(groups: Tensor) -> Tensor:
    """(N,) bool: which views are in the second half of their group, the larger one in a group of an odd size.

    In a group of two that is the second view; where the first half shows G(z) and the second half G_ema(z), those of
    G_ema. Arguments as for `pair_views`.
    """
    place, size = _places(same_group(groups))
    return place >= size // 2


def _places(same: Tensor) -> tuple[Tensor, Tensor]:
    """A view's number within its group, and the group's size, (N,) each, of `same_group`."""
    return same.tril(-1).sum(dim=1), same.sum(dim=1)
