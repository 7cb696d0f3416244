"""The run folder: what a long command leaves behind, and what the same command takes up again.

RUN/
    config.yaml      the resolved options; `--config RUN/config.yaml` repeats the run
    run.json         the command, versions, hardware, and the length with its changes (length.py)
    metrics.jsonl    a row a logged step
    checkpoints/     see checkpoint.py
    result.json      written last: a run with a result is finished
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError, UsageError
from ..files import read_json, remove_temporary, write_file, write_json
from ..options.config import Config, differences, write_yaml
from ..progress.line import is_main_process
from ..runtime.environment import record_environment
from .length import Rate, change_length, describe_changes, describe_schedule, length_facts
from .metrics import MetricsLog

AUTO = "auto"
"""The value of options that are decided by the device, or by what else is given."""
AS_PRETRAINED = "pretrained"
"""The value of `--discriminator-augment` that stands for what versions before it did in joint training."""
RESTORE = "restore it from a copy, or give another folder to start anew"
"""What to do about a file of a run that is damaged."""


class RunFolder:
    """A folder of one run. `open_run` makes or takes up one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = MetricsLog(path / "metrics.jsonl")

    @property
    def result(self) -> dict[str, Any] | None:
        """What a finished run came to; None while it is not finished.

        Raises:
            DataError: the file is damaged.
        """
        file = self.path / "result.json"
        advice = "remove it and run the run's command again, which takes up the last checkpoint"
        return read_json(file, advice) if file.exists() else None

    @property
    def length_facts(self) -> dict[str, Any]:
        """What its result is to say of changes of its length; see `length`."""
        return length_facts(read_record(self.path))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, which marks the run as finished."""
        write_json(self.path / "result.json", result)


def open_run(
    out: str | Path,
    command: str,
    config: Config,
    *,
    main_process: bool = True,
    steps: int | None = None,
    rate: Rate | None = None,
    came_to: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Make the run folder of a command, or take up the one that the same command left.

    A finished run of this length is left as it is. One that is to be longer is unfinished from here on, and its record
    says what became of it, as it does of an unfinished run whose length is changed.

    Every process of a run calls it. Those that train hold the folder meanwhile; see `together.hold_run`.

    Args:
        out: the folder.
        command: which command's run it is, such as `train`.
        config: the options.
        main_process: whether this process writes; the others only check.
        steps: its length; None for commands whose runs have none.
        rate: the learning rate of a length at a step, for the record of a change.
        came_to: what options that may be `auto` came to here, by name, and those that a version without the entry
            took in another way (`as_said_now`). The run's record has them, and it is continued with the same alone.

    Raises:
        UsageError: a URL, or the folder holds a run with other options (the message lists the differences), or one that
            has done more steps than are asked for.
        DataError: the folder holds something else, cannot be made, or is not the same to all processes.
    """
    path = Path(out)
    changes: list[dict[str, Any]] = []
    done, found = False, ""
    problem: Exception | None = None
    try:
        if check_out(out, command, config, came_to or {}) and steps is not None:
            changes, done = _take_up(path, config, steps, rate, main_process=main_process)
        found = describe_run(path)
    except (UsageError, DataError) as error:
        problem = error
    from .together import check_agreement, check_seen, share_problem  # torch: those who only look at runs do without

    # Every process has looked before one of them writes: a folder that is half made is neither empty nor a run.
    check_agreement(found, problem, path)
    if main_process and not done:
        length: dict[str, Any] = {"total_steps": steps} if steps is not None else {}
        length |= {"length_changes": changes} if changes else {}
        length |= {"came_to": dict(came_to)} if came_to else {}
        try:
            path.mkdir(parents=True, exist_ok=True)
            remove_temporary(path)
            if steps is not None:
                # What it came to at another length is no longer what its checkpoints are.
                (path / "result.json").unlink(missing_ok=True)
            write_json(path / "run.json", {"command": command, **length, **record_environment()})
            write_file(path / "config.yaml", write_yaml(config.to_dict()))
        except OSError as error:
            problem = DataError(f"cannot write to --out {path}: {error.strerror}")
    share_problem(problem)
    if not done:
        check_seen(path, main_process)
    return RunFolder(path)


def describe_run(path: Path) -> str:
    """What a folder holds of a run, in words: processes that see the same say the same.

    Raises:
        DataError: a file of the run cannot be read.
    """
    record, result = path / "run.json", path / "result.json"
    if not record.exists():
        return "no run"
    digest = hashlib.sha256()
    try:
        digest.update(record.read_bytes())
        finished = result.exists()
        if finished:
            digest.update(result.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from None
    return f"a {'finished' if finished else 'begun'} run ({digest.hexdigest()[:12]})"


def check_out(out: str | Path, command: str, config: Config, came_to: Mapping[str, Any] | None = None) -> bool:
    """Whether a folder holds a run of a command with these options, to be taken up; it may be new or empty otherwise.

    Without `came_to` an option that is `auto` fits whatever it came to.

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
        _check_same(path, command, config, came_to)
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
    if before is None and saved.get("epochs") and getattr(config, "epochs", None):
        before = steps * saved["epochs"] // config.epochs  # type: ignore[attr-defined]
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


def check_finished(path: Path, part: str) -> None:
    """Raises DataError for a run that is being extended, whose `part`, a folder such as `encoder`, is still that of its
    length before. A folder without a record is none."""
    if not (path / "run.json").exists() or (path / "result.json").exists():
        return
    if read_record(path).get("length_changes"):
        raise DataError(
            f"the run {path} is being extended and is not finished: run its command again. The {part} that it had "
            f"before is {path / part}"
        )


def say_finished(path: Path) -> None:
    """Tell that there is nothing to do."""
    say(f"{path} is already finished; this is its result")


def say(text: str) -> None:
    """A line for people on stderr, of one of several processes."""
    if is_main_process():
        print(text, file=sys.stderr, flush=True)


def read_record(path: str | Path) -> dict[str, Any]:
    """A run's `run.json`: its command, versions and hardware.

    Raises:
        DataError: it is missing or damaged.
    """
    file = Path(path) / "run.json"
    record = read_json(file, RESTORE)
    if not isinstance(record.get("command"), str):
        raise DataError(f"{file} is damaged (it names no command): {RESTORE}")
    return record


def command_of(path: str | Path) -> str | None:
    """The command whose run a folder holds, such as `train`; None if it holds none, or one that cannot be told."""
    try:
        return read_record(path)["command"] if (Path(path) / "run.json").is_file() else None
    except DataError:
        return None


def read_config(path: str | Path) -> dict[str, Any]:
    """The options a run was started with.

    Raises:
        DataError: the folder holds no run, or its `config.yaml` is damaged.
    """
    file = Path(path) / "config.yaml"
    if not file.exists():
        raise DataError(f"{path} is no run of synthcl: it has no config.yaml")
    try:
        values = yaml.safe_load(file.read_bytes())
    except yaml.YAMLError as error:
        raise DataError(f"{file} is damaged ({str(error).splitlines()[0]}): {RESTORE}") from None
    if not isinstance(values, dict):
        raise DataError(f"{file} is damaged (it holds no options): {RESTORE}")
    return values


def as_said_now(saved: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a run was started with, as this version says them.

    Args:
        saved: what `read_config` gives.
        record: what `read_record` gives.
    """
    values = dict(saved)
    at_urls = any("://" in str(path) for path in values.get("shards") or [])
    if "shards_per_window" in values and not at_urls and "shards_per_window" not in record.get("came_to", {}):
        values["shards_per_window"] = None  # it meant nothing for folders then, and stood there at its default
    if "discriminator_augment" in values and values["discriminator_augment"] is None:
        values["discriminator_augment"] = AUTO  # which had no name then; `_came_to` has what it meant
    return values


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, oldest first."""
    return RunFolder(Path(path)).metrics.read()
