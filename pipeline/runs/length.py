"""How long a run is, and what became of it when that was changed: the record that says what its weights are.

A run's `run.json` holds `total_steps`, the length it is trained towards, and where that was changed after the first
checkpoint `length_changes`, oldest first: `at` (steps done then), `from` and `to` (lengths) and, where it is known,
`learning_rate` (of the step before and of the step after). Everything that follows from the length, the learning rate
first of all, is from `at` on that of the new length: the run equals none that was trained in one go.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import DataError, UsageError
from .checkpoint_files import is_whole, list_checkpoints, steps_of

Rate: TypeAlias = Callable[[int, int], float]
"""The learning rate of a training of N steps at step i, counted from 0: `rate(N, i)`."""


def steps_saved(run: str | Path) -> int:
    """The steps that a run's newest checkpoint has done; 0 without one."""
    saved = list_checkpoints(Path(run) / "checkpoints")
    return steps_of(saved[-1]) if saved else 0


def steps_to_go_on_from(run: str | Path) -> int:
    """The steps that a run's newest whole checkpoint has done, which is what it goes on from; 0 without one."""
    saved = list_checkpoints(Path(run) / "checkpoints")
    return next((steps_of(each) for each in reversed(saved) if is_whole(each)), 0)


def change_length(
    run: str | Path,
    changes: Sequence[dict[str, Any]],
    before: int | None,
    steps: int,
    *,
    finished: bool,
    rate: Rate | None = None,
) -> list[dict[str, Any]]:
    """The changes of the length of a run that is now to have `steps` steps.

    Args:
        run: its folder.
        changes: those in its record.
        before: the length it was trained towards; None if that cannot be told.
        steps: the length asked for.
        finished: whether it has a result.
        rate: its learning rate, for the record.

    Raises:
        UsageError: fewer steps than it has done: its weights would not be those of so many.
        DataError: it is finished, and has no checkpoint left to go on from.
    """
    if steps == before and not changes and not finished:
        return []  # and no checkpoint needs to be read for that
    done = steps_to_go_on_from(run)
    if finished and before is not None and steps < before:
        raise UsageError(
            f"--out {run} is finished, with {before} steps; its weights are not those of a training of {steps}. Give "
            f"--steps {before} or more, or another folder"
        )
    changes = list(changes)
    while changes and changes[-1]["at"] >= done:
        # Asked for, and interrupted before a step was saved: the weights do not know of it.
        before = changes.pop()["from"]
    if finished and done == 0:
        raise DataError(
            f"--out {run} is finished, and its checkpoints are gone or damaged, so that it cannot be extended to "
            f"{steps} steps; give another folder to train anew"
        )
    if steps == before or done == 0 or (before is None and steps > done):
        return changes
    if steps <= done:
        raise UsageError(
            f"--out {run} has done {done} of {before or 'its'} steps already; its weights are not those of a training "
            f"of {steps}. Give more than --steps {done}, or another folder"
        )
    change: dict[str, Any] = {"at": done, "from": before, "to": steps}
    if rate is not None and before is not None:
        change["learning_rate"] = [rate(before, done - 1), rate(steps, done)]
    return [*changes, change]


def length_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a result says of the length's changes: `extended_from`, the lengths at which the run was finished before,
    and `length_changes`. Empty for a run that was trained in one go."""
    changes = record.get("length_changes", [])
    if not changes:
        return {}
    return {
        "extended_from": [change["from"] for change in changes if change["at"] == change["from"]],
        "length_changes": changes,
    }


def describe_changes(changes: Sequence[Mapping[str, Any]]) -> str:
    """Changes of the length in words: `extended from 40 to 60 steps`; empty without any."""
    return ", then ".join(_describe(change) for change in changes)


def _describe(change: Mapping[str, Any]) -> str:
    at, before, after = change["at"], change["from"], change["to"]
    if at == before:
        return f"extended from {before} to {after} steps"
    return f"{'lengthened' if after > before else 'shortened'} from {before} to {after} steps after step {at}"


def describe_schedule(change: Mapping[str, Any]) -> str:
    """What a change of the length did to the learning rate, in a sentence."""
    if "learning_rate" not in change:
        return f"What follows from the length is from step {change['at']} on that of {change['to']} steps"
    before, after = change["learning_rate"]
    way = "goes back up" if after > before else "goes" if after < before else "stays"
    values = f"from {before:.3g} to {after:.3g}" if after != before else f"at {after:.3g}"
    return f"The learning rate {way} {values}, its place in a training of {change['to']} steps"
