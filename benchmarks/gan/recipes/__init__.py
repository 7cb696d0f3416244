"""The recipes that are compared: ours, and those that users would take otherwise, one file each.

An *arm* is a recipe with what is changed in it, and has a name that says so: `sngan`, `sngan+diffaug`,
`sngan:discriminator_steps=1:generator_rate=1e-4`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from synthcl.pipeline.errors import UsageError

from .base import AlternatingGAN, Recipe
from .dcgan import DCGAN
from .mixed import Mixed
from .ours import Ours
from .sngan import SNGAN
from .stylegan2 import StyleGAN2

OURS = "ours"
OTHERS: dict[str, type[AlternatingGAN]] = {"dcgan": DCGAN, "sngan": SNGAN, "stylegan2": StyleGAN2, "mixed": Mixed}
DIFFAUGMENT = "+diffaug"


@dataclass(frozen=True)
class Arm:
    """A recipe and the options that are not its own; `name` says both."""

    name: str
    recipe: str
    options: dict[str, Any]


def parse_arm(text: str, ours: tuple[str, ...] = ()) -> Arm:
    """RECIPE[+diffaug][:KEY=VALUE...]; the options `ours` are added where the recipe is ours.

    Raises:
        UsageError: what cannot be read, with the choices.
    """
    head, *changes = text.split(":")
    recipe, plus, _ = head.partition(DIFFAUGMENT)
    if recipe not in (OURS, *OTHERS) or head not in (recipe, recipe + plus):
        raise UsageError(f"--recipes {text!r}: {head!r} is unknown; choose from {', '.join(arm_names())}")
    changes = [*changes, *(ours if recipe == OURS else ())]
    options = dict(_parse_option(change) for change in changes)
    if plus:
        if recipe == OURS or OTHERS[recipe].diffaugment_policy is None:
            raise UsageError(f"--recipes {text!r}: no policy of DiffAugment is published for it")
        options = {"augment": OTHERS[recipe].diffaugment_policy, **options}
    return Arm(":".join((head, *changes)), recipe, options)


def arm_names() -> list[str]:
    """The names of arms in which nothing is changed by hand."""
    augmented = [name + DIFFAUGMENT for name, recipe in OTHERS.items() if recipe.diffaugment_policy is not None]
    return [OURS, *OTHERS, *augmented]


def _parse_option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{text!r} is no option: write KEY=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def create(arm: Arm, image_size: int, match: dict[str, int]) -> Recipe:
    """Untrained networks, with weights from torch's global generator.

    Args:
        arm: which.
        image_size: pixels a side.
        match: weights that the networks of others are to have about as many of.

    Raises:
        UsageError: options that the recipe does not take, or an image size that it does not.
    """
    try:
        if arm.recipe == OURS:
            return Ours(image_size, **arm.options)
        return OTHERS[arm.recipe](image_size, match, **arm.options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{arm.name}: {error}") from None
