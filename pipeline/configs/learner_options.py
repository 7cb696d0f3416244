"""Checks of `--learner-option`, and of the flags that set options of learners, against the learner's own keyword
arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...learners import check_learner, learner_option_types, learner_options
from ...learners.registry import LEARNERS, check_option_names, learner_weights_views, unheeded_options
from ..errors import UsageError
from ..options.types import flag
from ..options.values import checked_value

BY = {
    "num_parts": "its forward has to put views through self.project, which takes them in parts",
    "weight": "its forward has to take the loss by self.reduce, which weighs views; if its loss is no mean over views, "
    "say so by loss_of_each_view = False",
    "own_statistics": "its forward has to put views through self.project, which tells synthetic views from real ones",
}
"""How a learner comes to heed what every learner takes, by the names that `unheeded_options` has."""

OF_FLAGS = ("temperature", "queue_size", "synthetic_negatives")
"""The options of learners that `train` has flags for."""


def checked_learner_options(learner: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options as the types that the learner declares. This imports torch, and the learner.

    Args:
        learner: its name, or `package.module:Class`.
        given: values by the names of the learner's options.

    Raises:
        UsageError: no such learner or option, or a value that the option does not take.
    """
    try:
        hints = learner_option_types(learner)
        given = {str(name).replace("-", "_"): value for name, value in given.items()}
        values = {}
        for name, value in given.items():
            if name in OF_FLAGS:
                raise UsageError(f"--learner-option {name}={value}: this one has a flag of its own, {flag(name)}")
            check_option_names(learner, [name], but=OF_FLAGS)
            values[name] = checked_value(f"--learner-option {name}", value, hints[name])
        check_learner(learner, **values)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return values


def check_heeded(learner: str, values: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Refuse what is given and a class of the user's leaves without effect. This imports torch, and the class.

    Args:
        learner: `package.module:Class`.
        values: its options.
        given: the flags that are given, as typed, by the names that `learners.registry.unheeded_options` has.

    Raises:
        UsageError: one of them does nothing.
    """
    for name in unheeded_options(learner, **values) if given else []:
        if name in given:
            raise UsageError(f"{given[name]} does nothing with --learner {learner}: {BY[name]}")


def check_flags(learner: str, given: Mapping[str, Any]) -> None:
    """Refuse the flags of `train` that are for other learners than this one. This imports torch, and the learner.

    Args:
        learner: its name, or `package.module:Class`.
        given: values by the names in `OF_FLAGS`, and of `synthetic_weight`; None where the learner's own serves.

    Raises:
        UsageError: the learner does not have what one of them sets.
    """
    for name, value in given.items():
        if value is None:
            continue
        shown = flag(f"no_{name}") if value is False else f"{flag(name)} {value}"
        if name == "synthetic_weight":
            refuse_for(learner, learner_weights_views, shown, ", whose loss is a mean over views")
        else:
            refuse_for(learner, partial(_has, name), shown)


def _has(option: str, learner: str) -> bool:
    return option in learner_options(learner)


def refuse_for(learner: str, able: Callable[[str], bool], given: str, why: str = "") -> None:
    """Raise UsageError for what is given beside a learner that is not able to take it; `why` tells of those that
    are."""
    if not able(learner):
        names = " or ".join(name for name in LEARNERS if able(name))
        raise UsageError(f"{given} is for --learner {names}{why}; it cannot be given with --learner {learner}")
