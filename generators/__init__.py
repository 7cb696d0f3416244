"""Generators of synthetic images: the contract (`base`), the kinds (`registry`) and what trains them.

Names load on first use, so that the list of kinds costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Draws": ".base",
    "Generator": ".base",
    "OptionError": ".errors",
    "GeneratorTrainer": ".base",
    "Synchronise": ".base",
    "GENERATORS": ".registry",
    "create_trainer": ".registry",
    "generator_kinds": ".registry",
    "kind_of": ".registry",
    "load_generator": ".registry",
    "load_trainer": ".registry",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name], __name__), name)
