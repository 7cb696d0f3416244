"""Checks of learners' options: a wrong value is named together with the option and its range."""

from __future__ import annotations


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
