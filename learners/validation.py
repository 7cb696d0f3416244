"""Checks of learners' options: a wrong value is named together with the option and its range."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def num_features(backbone: nn.Module) -> int:
    """F, of a backbone that gives features (N, F).

    Raises:
        ValueError: a module that does not say it.
    """
    size = getattr(backbone, "num_features", None)
    if not isinstance(size, int):
        raise ValueError(
            f"A backbone says in num_features how many features it gives; {type(backbone).__name__} does not."
        )
    return size


def require_positive(**options: float) -> None:
    """Raise ValueError unless every option is above 0."""
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value}.")


def require_fraction(**options: float) -> None:
    """Raise ValueError unless every option is in [0, 1]."""
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be between 0 and 1, not {value}.")
