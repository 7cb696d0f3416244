"""A run's folder is made, or taken up by the command that left it, for one training at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator

from ..errors import DataError, UsageError
from ..files import remove_temporary, write_file, write_json
from ..options.config import Config, differences, write_yaml
from ..options.types import flag
from ..progress.line import say
from ..runtime.environment import record_environment
from .agreement import check_agreement, check_same_run, check_seen, share_problem
from .checkpoint_files import list_checkpoints
from .folder import AS_PRETRAINED, AUTO, REAL_FILE, RunFolder, as_said_now, read_config, read_record, what_is_there
from .length import Rate, change_length, describe_changes, describe_schedule
from .lock import FolderLock

PLACES = {"out", "data_root", "cache"}
"""Options that say where things lie, which machines may have in different places."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a run is begun with beside its options, and continued with alone.

    Attributes:
        steps: its length; None for commands whose runs have none.
        rate: the learning rate of a length at a step, for the record of a change of length.
        came_to: what options that may be `auto` came to here, by name, and those that a version without the entry
            took in another way (`as_said_now`).
        made_of: what the contents of the inputs are told apart by, by option: of images, sets and generators, which may
            have changed where they lie.
    """

    steps: int | None = None
    rate: Rate | None = None
    came_to: Mapping[str, Any] = field(default_factory=dict)
    made_of: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def hold_run(
    out: str | Path, command: str, config: Config, terms: Terms | None = None, *, main_process: bool = True
) -> Iterator[RunFolder]:
    """`open_run` of a folder that is this run's alone, from before the first change in it until the context is left.

    Every process of a run enters, and all get a run or an error.

    Args:
        out, command, config, terms, main_process: as `open_run` takes them.

    Raises:
        UsageError, DataError: what `open_run` raises.
        DataError: another process is training in the folder, or the processes do not see the same in it.
    """
    path = Path(out)
    problem: Exception | None = None
    with contextlib.ExitStack() as stack:
        try:
            check_out(out, command, config, terms or Terms())  # no folder is made where there can be no run
            if main_process:
                path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FolderLock(path, taken=main_process))
        except (UsageError, DataError) as error:
            problem = error
        except OSError as error:
            problem = DataError(f"cannot write to --out {path}: {error.strerror}")
        share_problem(problem)
        yield open_run(out, command, config, terms, main_process=main_process)


def open_run(
    out: str | Path, command: str, config: Config, terms: Terms | None = None, *, main_process: bool = True
) -> RunFolder:
    """Make the run folder of a command, or take up the one that the same command left.

    A finished run of this length is left as it is. One that is to be longer is unfinished from here on, and its record
    says what became of it, as it does of an unfinished run whose length is changed.

    A run that has saved no step yet has none of the contents of its inputs in it: it begins again with those that are
    given now, so that images can be mended which ended it.

    Every process of a run calls it. Those that train hold the folder meanwhile; see `hold_run`.

    Args:
        out: the folder.
        command: which command's run it is, such as `train`.
        config: the options.
        terms: what else it is begun with, which its record has.
        main_process: whether this process writes; the others only check.

    Raises:
        UsageError: a URL, or the folder holds a run with other options (the message lists the differences), or one that
            has done more steps than are asked for.
        DataError: the folder holds something else, cannot be made, or is not the same to all processes, the run has
            done steps with other contents of an input, or the processes would not do the same.
    """
    path, terms = Path(out), terms or Terms()
    changes: list[dict[str, Any]] = []
    done, found = False, ""
    problem: Exception | None = None
    try:
        if check_out(out, command, config, terms) and terms.steps is not None:
            changes, done = _take_up(path, config, terms.steps, terms.rate, main_process=main_process)
        found = what_is_there(path)
    except (UsageError, DataError) as error:
        problem = error
    # Every process has looked before one of them writes: a folder that is half made is neither empty nor a run.
    check_agreement(found, problem, path)
    check_same_run(_what_it_does(config, terms))
    if main_process and not done:
        record: dict[str, Any] = {"total_steps": terms.steps} if terms.steps is not None else {}
        record |= {"length_changes": changes} if changes else {}
        record |= {"came_to": dict(terms.came_to)} if terms.came_to else {}
        record |= {"made_of": dict(terms.made_of)} if terms.made_of else {}
        try:
            path.mkdir(parents=True, exist_ok=True)
            remove_temporary(path)
            if not _has_steps(path):
                _remove_pictures(path)
            if terms.steps is not None:
                # What it came to at another length is no longer what its checkpoints are.
                (path / "result.json").unlink(missing_ok=True)
            write_json(path / "run.json", {"command": command, **record, **record_environment()})
            write_file(path / "config.yaml", write_yaml(config.to_dict()))
        except OSError as error:
            problem = DataError(f"cannot write to --out {path}: {error.strerror}")
    share_problem(problem)
    if not done:
        check_seen(path, main_process)
    return RunFolder(path)


def _what_it_does(config: Config, terms: Terms) -> dict[str, str]:
    """What all processes of a run must do alike, for `check_same_run`."""
    given = config.to_dict()
    about = {f"{flag(name)} is": str(given[name]) for name in given if name not in terms.came_to and name not in PLACES}
    about |= {f"{flag(name)} came to": str(value) for name, value in terms.came_to.items()}
    about |= {f"{flag(name)} has": value for name, value in terms.made_of.items()}
    return about | ({"the steps are": str(terms.steps)} if terms.steps is not None else {})


class Planned(Protocol):
    """A training that has been built and not begun: `terms` for its folder, and `complete`, which trains to the end."""

    @property
    def terms(self) -> Terms: ...

    def complete(self, run: RunFolder) -> dict[str, Any]: ...


def carry_out(
    out: str | Path, command: str, config: Config, accelerator: Accelerator, build: Callable[[], Planned]
) -> dict[str, Any]:
    """The result of a run, which is built and trained, or taken up, unless it is there; each process calls it.

    Args:
        out, command, config: as `open_run` takes them.
        accelerator: of this process.
        build: what is trained; it refuses what cannot be, before the folder is touched.

    Raises:
        UsageError, DataError: what `finished_together`, `build` and `hold_run` raise.
    """
    if (finished := finished_together(out, command, config)) is not None:
        return finished
    planned = build()
    with hold_run(out, command, config, planned.terms, main_process=accelerator.is_main_process) as run:
        if run.result is not None:
            say_finished(run.path)
            return run.result
        result = planned.complete(run)
    accelerator.wait_for_everyone()
    return result


def finished_together(out: str | Path, command: str, config: Config) -> dict[str, Any] | None:
    """`finished_result`, agreed upon by all processes of a run; each asks, before anything is prepared.

    Raises:
        UsageError, DataError: what `finished_result` raises here.
        DataError: it raises something in another process, or the processes see different runs in the folder.
    """
    path, result, found = Path(out), None, ""
    problem: Exception | None = None
    try:
        result, found = finished_result(out, command, config, tell=False), what_is_there(path)
    except (UsageError, DataError) as error:
        problem = error
    check_agreement(found, problem, path)
    if result is not None:
        say_finished(path)
    return result


def finished_result(out: str | Path, command: str, config: Config, *, tell: bool = True) -> dict[str, Any] | None:
    """The result of a run that the same command has finished; None if there is none, or it is of another length.

    Nothing but the run's folder is looked at: what the run was made from may be gone.

    Args:
        out: the folder.
        command: which command's run it is.
        config: the options.
        tell: say that there is nothing to do.

    Raises:
        UsageError: the folder holds a run with other options.
        DataError: a file of the run is damaged.
    """
    path = Path(out)
    if not ((path / "run.json").exists() and (path / "result.json").exists()):
        return None
    _check_same(path, command, config)
    result, saved, asked = RunFolder(path).result, read_config(path), config.to_dict()
    for name in ("steps", "epochs"):
        value = asked.get(name)
        if result is None or saved.get(name) != value or (value is not None and result.get(name) != value):
            return None
    if tell:
        say_finished(path)
    return result


def check_out(out: str | Path, command: str, config: Config, terms: Terms | None = None) -> bool:
    """Whether a folder holds a run of a command with these options, to be taken up; it may be new or empty otherwise.

    Without `terms` an option that is `auto` fits whatever it came to, and inputs are not looked at.

    Raises:
        UsageError, DataError: it can be no run of these; see `open_run`.
    """
    if "://" in str(out):
        raise UsageError(
            f"--out {out}: a run is cut back and continued, which an object store cannot do; give a folder, and upload "
            "the run when it is finished"
        )
    path = Path(out)
    if path.exists() and not path.is_dir():
        raise DataError(f"--out {path} is a file; give a folder")
    content = {name for name in os.listdir(path) if not name.startswith(".tmp-")} if path.exists() else set()
    if content == {"run.json"}:
        return False  # a run that was killed while it began: it has left nothing else
    if "run.json" in content:
        _check_same(path, command, config, terms.came_to if terms is not None else None)
        if _has_steps(path):
            _check_inputs(path, terms.made_of if terms is not None else {})
        return True
    if content:
        raise DataError(f"--out {path} is not empty and holds no run of synthcl; give a new or empty folder")
    return False


def _take_up(
    path: Path, config: Config, steps: int, rate: Rate | None, *, main_process: bool
) -> tuple[list[dict[str, Any]], bool]:
    """The changes of the length of a run that is there, the one that is asked for now included and told; and whether
    it is finished as it is.

    Raises:
        UsageError: it has done more steps.
    """
    record, result, saved = read_record(path), RunFolder(path).result, read_config(path)
    there = record.get("length_changes", [])
    if result is not None and result.get("steps") == steps:
        return there, True
    before = result.get("steps") if result is not None else record.get("total_steps", saved.get("steps"))
    if before is None and saved.get("epochs") and (epochs := config.to_dict().get("epochs")):
        before = steps * saved["epochs"] // epochs  # a record of before it had the number of steps
    changes = change_length(path, there, before, steps, finished=result is not None, rate=rate)
    if main_process and changes and changes[-1] not in there:
        say(
            f"{path} is {describe_changes(changes[-1:])}. {describe_schedule(changes[-1])}; it will not be the run "
            f"that one of {steps} steps in one go is. Its record says so, and `compare` counts it as a difference"
        )
    return changes, False


def _check_same(path: Path, command: str, config: Config, came_to: Mapping[str, Any] | None = None) -> None:
    """Raises UsageError unless a run is of this command, with these options. Without `came_to`, `auto` is `auto`."""
    record = read_record(path)
    there = record["command"]
    if there != command:
        raise UsageError(f"--out {path} holds a run of `synthcl {there}`; give another folder for `synthcl {command}`")
    saved, given = as_said_now(read_config(path), record), config.to_dict()
    for name, before in _came_to(record, saved, came_to or {}).items():
        if name not in given:
            continue
        if came_to is not None and name in came_to:
            given[name] = came_to[name]
        if given[name] != AUTO:
            saved[name] = before
    lines = differences(saved, given, type(config))
    if lines:
        raise UsageError(
            f"--out {path} holds another run; give another folder, or the options it began with. They differ in\n  "
            + "\n  ".join(lines)
        )


def _has_steps(path: Path) -> bool:
    """Whether a run has steps that were made with the contents in its record: saved ones, or a result of all."""
    return bool(list_checkpoints(path / "checkpoints")) or (path / "result.json").exists()


def _remove_pictures(path: Path) -> None:
    """Remove what a run has drawn that begins again: it may have been of other images. Rows of steps are cut by the
    loop."""
    (path / REAL_FILE).unlink(missing_ok=True)
    shutil.rmtree(path / "samples", ignore_errors=True)


def _check_inputs(path: Path, made_of: Mapping[str, str]) -> None:
    """Raises DataError if an input has other contents than the run was begun with; records of before it have none."""
    before = read_record(path).get("made_of", {})
    changed = [
        f"{flag(name)} had {before[name]}, and has {made_of[name]} now"
        for name in made_of
        if name in before and before[name] != made_of[name]
    ]
    if changed:
        raise DataError(
            f"--out {path} was begun with other contents, and going on would make a run of both: {'; '.join(changed)}. "
            "Bring back what it began with, or give another folder"
        )


def _came_to(record: Mapping[str, Any], saved: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What options came to where a run began, by name; `now` has what they come to here."""
    found = dict(record.get("came_to", {}))
    if "generator_precision" not in saved:  # generators were in fp32 then, but for `pretrain --bf16`
        found.setdefault("generator_precision", "bf16" if saved.get("bf16") else "fp32")
    if saved.get("preset") == AUTO and "preset" in now:  # before runs recorded it, it was `tiny` where it is `plain`
        found.setdefault("preset", "tiny" if now["preset"] == "plain" else now["preset"])
    if saved.get("online"):  # before joint runs recorded it, D saw what it was pretrained with, unless it was asked for
        given = saved.get("discriminator_augment", AUTO)
        found.setdefault("discriminator_augment", AS_PRETRAINED if given == AUTO else given)
    return found


def say_finished(path: Path) -> None:
    """Tell that there is nothing to do."""
    say(f"{path} is already finished; this is its result")
