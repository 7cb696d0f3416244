"""Checks of `--learner-option`, against the learner's own keyword arguments."""

from __future__ import annotations

from typing import Any

from ...learners import check_learner, learner_option_types
from ..errors import UsageError
from ..options.types import flag
from ..options.values import checked_value

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
            if name in hints:
                values[name] = checked_value(f"--learner-option {name}", value, hints[name])
        check_learner(learner, **{**given, **values})
    except ValueError as error:
        raise UsageError(str(error)) from None
    return values
