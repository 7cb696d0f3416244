"""The run folder: what a long command leaves behind, and what the same command takes up again.

RUN/
    config.yaml      the resolved options; `--config RUN/config.yaml` repeats the run
    run.json         the command, versions, hardware, and the length with its changes (length.py)
    metrics.jsonl    a row a logged step
    checkpoints/     see checkpoint.py
    samples/, real_images.png    of runs that train a generator: pictures
    result.json      written last: a run with a result is finished
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError
from ..files import read_json, write_json
from .length import length_facts
from .metrics import MetricsLog

AUTO = "auto"
"""The value of options that are decided by the device, or by what else is given."""
AS_PRETRAINED = "pretrained"
"""The value of `--discriminator-augment` that stands for what versions before it did in joint training."""
REAL_FILE = "real_images.png"
"""A file in the folder of a run that trains a generator: a row of the images that it is trained on."""
OWN_PATHS = ("run", "out", "report", "results")
"""The entries of a result that name the run's folder, or files in it."""
RESTORE = "restore it from a copy, or give another folder to start anew"
"""What to do about a file of a run that is damaged."""


class RunFolder:
    """A folder of one run. `opening.open_run` makes or takes up one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = MetricsLog(path / "metrics.jsonl")

    @property
    def result(self) -> dict[str, Any] | None:
        """What a finished run came to; None while it is not finished. The paths in it are those of now, wherever it was
        when it was written.

        Raises:
            DataError: the file is damaged.
        """
        file = self.path / "result.json"
        advice = "remove it and run the run's command again, which takes up the last checkpoint"
        return _as_it_lies_now(read_json(file, advice), self.path) if file.exists() else None

    @property
    def length_facts(self) -> dict[str, Any]:
        """What its result is to say of changes of its length; see `length`."""
        return length_facts(read_record(self.path))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, which marks the run as finished."""
        write_json(self.path / "result.json", result)


def _as_it_lies_now(result: dict[str, Any], path: Path) -> dict[str, Any]:
    """A result whose own paths lie in `path`: its run may have been moved, or be a copy."""
    before = result.get("run", result.get("out"))
    if not isinstance(before, str) or Path(before) == path:
        return result

    def now(value: Any) -> Any:
        if isinstance(value, list):
            return [now(each) for each in value]
        inside = isinstance(value, str) and Path(value).is_relative_to(before)
        return str(path / Path(value).relative_to(before)) if inside else value

    return {name: now(value) if name in OWN_PATHS else value for name, value in result.items()}


def what_is_there(path: Path) -> str:
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
        DataError: the folder holds no run, or its `config.yaml` is missing or damaged.
    """
    file = Path(path) / "config.yaml"
    if not file.exists() and (file.parent / "run.json").exists():
        raise DataError(f"{file} is missing from the run: {RESTORE}")
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
