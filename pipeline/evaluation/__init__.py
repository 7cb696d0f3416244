"""Evaluation of encoders (probes) and of synthetic images (quality).

    result = evaluate_linear("runs/real", "cifar10")
    print(result["top1"], result["top1_interval"])

The names below are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .table import TASKS

if TYPE_CHECKING:
    from .alignment import alignment as alignment
    from .alignment import uniformity as uniformity
    from .features import cached_features as cached_features
    from .features import extract_features as extract_features

_HOMES = {
    "alignment": "alignment",
    "cached_features": "features",
    "extract_features": "features",
    "uniformity": "alignment",
    **{entry.function: entry.module for entry in TASKS.values()},
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
