"""How an arm looks in plots and tables: a regime in its own way, another arm in a colour and marker of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..configs.arms import UNTRAINED, Arm


class Look(NamedTuple):
    """Of an arm.

    Attributes:
        variable: the CSS variable of its colour, without dashes in front.
        color, dark_color: on light and on dark ground.
        marker, dash: of matplotlib, so that plots read without colours.
    """

    variable: str
    color: str
    dark_color: str
    marker: str
    dash: Any = "-"


_REGIMES = {
    look.variable: look
    for look in (
        Look("real", "#4b5563", "#b6bec9", "s"),
        Look("offline", "#c2570c", "#f5973f", "D", (0, (5, 2))),
        Look("fresh", "#0f766e", "#4fd1c5", "v", (0, (3, 1, 1, 1))),
        Look("online", "#0060b0", "#62b1ff", "o"),
        Look("replay", "#8b3a8f", "#da92dd", "^", (0, (2, 1.5))),
    )
}
"""By name, one for each regime. Ours."""
_OTHERS = (
    Look("arm-1", "#b0135a", "#ff86b0", "P", (0, (4, 1, 1, 1))),
    Look("arm-2", "#587600", "#b5d34a", "<", (0, (6, 2))),
    Look("arm-3", "#3b49b8", "#9aa5ff", ">", (0, (1, 1))),
    Look("arm-4", "#7a4b1d", "#d6a676", "p", (0, (5, 1, 1, 1, 1, 1))),
    Look("arm-5", "#007184", "#53d6e5", "h", (0, (3, 3))),
    Look("arm-6", "#8a6a00", "#e6c34a", "*", (0, (2, 1, 4, 1))),
)
"""Ours; more arms than these share them."""
_UNTRAINED = Look(UNTRAINED, "#6f757e", "#8f97a1", "X", ":")
ALL = (*_REGIMES.values(), *_OTHERS, _UNTRAINED)


def looks(arms: Sequence[Arm]) -> dict[str, Look]:
    """By the name of the arm, and of untrained weights."""
    others = [arm.name for arm in arms if arm.name not in _REGIMES]
    found = {name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)}
    return {**_REGIMES, **found, UNTRAINED: _UNTRAINED}
