"""Published ways to use generated images, as values of the options of a training. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..options.types import flag

RECIPES: Mapping[str, Mapping[str, Any]] = {
    # AdaInf (Wang et al. 2024, arXiv 2403.12448): weaker views, and 1M generated images beside CIFAR-10's 50,000 ten
    # times over, so two generated images for each real one; the loss does not tell them apart. The ratio holds in every
    # batch here, and on average there. The authors' batch of 256 holds both kinds, which is a --batch-size of 85.
    "adainf": {
        "views": "adainf",
        "synthetic_ratio": 2.0,
        "pairs": False,
        "synthetic_loss": "ppcl",
        "synthetic_weight": None,
        "synthetic_negatives": True,
        "separate_batchnorm": False,
    },
}
"""By name, the options that each sets. Options that it names at their defaults cannot be given another value."""


def contradiction(recipe: str, name: str, given: Any) -> str:
    """What to say of an option that a recipe sets to another value."""
    wanted = _as_typed(name, RECIPES[recipe][name])
    return f"--recipe {recipe} sets {wanted}; {_as_typed(name, given)} cannot be given with it"


def _as_typed(name: str, value: Any) -> str:
    """An option with its value, in a sentence."""
    if isinstance(value, bool):
        return flag(name if value else f"no_{name}")
    if value is None:
        return f"no {flag(name)}"
    return f"{flag(name)} {value:g}" if isinstance(value, float) else f"{flag(name)} {value}"
