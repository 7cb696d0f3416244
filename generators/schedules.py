"""Values that change over pretraining, as functions of the part of it that is done: a resumed run repeats them."""

from __future__ import annotations

import math

from .errors import OptionError


def part_done(step: int, total_steps: int | None) -> float:
    """The part of the training that lies before step `step` (from 0), in [0, 1]; 0 where no length is known."""
    return 0.0 if total_steps is None else min(1.0, step / total_steps)


def geometric(start: float, end: float | None, part: float) -> float:
    """From `start` to `end`, by an equal factor for each equal part; `start` throughout without an end.

    Both must be above 0 where there is an end.
    """
    if end is None or part >= 1:
        return start if end is None else end
    return start * (end / start) ** part


def final_decay(part: float, decay: float) -> float:
    """The factor of a learning rate: 1, then a half cosine to 0 over the last `decay` of the training.

    Args:
        part: of the training that is done, in [0, 1].
        decay: in [0, 1]; 0 is none.
    """
    if decay == 0:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, (part - (1 - decay)) / decay))))


def check_total_steps(total_steps: int | None) -> int | None:
    """Raises OptionError for a length of training below one step."""
    return total_steps if total_steps is None else int(check_range("total_steps", total_steps, minimum=1))


def check_range(
    name: str,
    value: float,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
) -> float:
    """The value, if it is within its bounds.

    Raises:
        OptionError: it is not; the message has the option's name, the bound and the value.
    """
    bounds = [
        (minimum, lambda bound: value >= bound, "at least"),
        (above, lambda bound: value > bound, "above"),
        (maximum, lambda bound: value <= bound, "at most"),
        (below, lambda bound: value < bound, "below"),
    ]
    for bound, holds, word in bounds:
        if bound is not None and not holds(bound):
            raise OptionError(f"{name} must be {word} {bound}, not {value}")
    return value
