"""Trackers, through Accelerate: TensorBoard and Weights & Biases see the rows of `metrics.jsonl` as they are written.

A resumed run goes on in the same record. TensorBoard is told to forget the steps that are done again. Weights & Biases
keeps the first of two values of a step, which are equal, since a resumed run repeats its steps exactly.
"""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.tracking import GeneralTracker, TensorBoardTracker, WandBTracker
from PIL import Image

from ..errors import RunStopped, UsageError
from ..files import write_file
from ..options.config import Config
from .folder import RunFolder

WANDB_PROJECT = "synthcl"
"""Where runs go unless the environment's WANDB_PROJECT says otherwise."""


class Tracker:
    """One tracker of one run, as a log of rows: it starts when the loop knows how many steps are done."""

    def __init__(self, name: str, run: RunFolder, options: dict[str, Any]) -> None:
        self.name, self.run, self.options = name, run, options
        self.tracker: GeneralTracker | None = None

    def rewind(self, steps: int) -> None:
        self.tracker = _STARTS[self.name](self.run, steps, self.options)

    def append(self, row: dict[str, float]) -> None:
        assert self.tracker is not None, "the loop rewinds what it logs to"
        self.tracker.log({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))

    def append_picture(self, step: int, path: Path) -> None:
        """Hand on a picture of samples, as it is after `step` steps."""
        assert self.tracker is not None, "the loop rewinds what it logs to"
        with Image.open(path) as picture:
            _PICTURES[self.name](self.tracker, picture.convert("RGB"), step)

    def commit(self, steps: int) -> None:
        """Nothing: both hand on each row at once."""

    def close(self) -> None:
        """Finish the record."""
        if self.tracker is not None:
            self.tracker.finish()


def check_trackers(names: Sequence[str]) -> None:
    """Raises UsageError if the package of a tracker is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"--tracker {name} needs the package {name}. Install it: pip install {name}")


@contextmanager
def open_trackers(
    names: Sequence[str], run: RunFolder, config: Config, *, main_process: bool
) -> Iterator[list[Tracker]]:
    """The trackers of a run, finished when it ends or stops; none in other processes than the main one.

    Args:
        names: of `common.TRACKERS`.
        run: its folder, in which they keep what they write.
        config: the options, which become the record's hyperparameters.
        main_process: whether this is the main process.
    """
    trackers = [Tracker(name, run, _plain(config)) for name in dict.fromkeys(names)] if main_process else []
    try:
        yield trackers
    finally:
        for tracker in trackers:
            tracker.close()


def _plain(config: Config) -> dict[str, Any]:
    """The options that are given, as values that every tracker takes."""
    values = {name: _plain_value(value) for name, value in config.to_dict().items()}
    return {name: value for name, value in values.items() if value not in (None, "")}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _start_tensorboard(run: RunFolder, steps: int, options: dict[str, Any]) -> GeneralTracker:
    tracker = TensorBoardTracker("tensorboard", str(run.path), purge_step=steps + 1)
    tracker.start()
    # Not `store_init_configuration`, which would start another record, named after the time, at each resume.
    tracker.tracker.add_hparams(options, {}, run_name=".")
    return tracker


def _start_wandb(run: RunFolder, steps: int, options: dict[str, Any]) -> GeneralTracker:
    import wandb

    tracker = WandBTracker(
        os.environ.get("WANDB_PROJECT", WANDB_PROJECT),
        dir=str(run.path),
        name=run.path.name,
        id=_wandb_id(run),
        resume="allow",
        settings={"console": "off"},  # progress lines are no log
    )
    try:
        tracker.start()
    except wandb.Error as error:
        raise RunStopped(
            f"--tracker wandb cannot start: {error} With WANDB_MODE=offline in the environment it needs neither an "
            "account nor a network"
        ) from None
    tracker.store_init_configuration(options)
    return tracker


def _wandb_id(run: RunFolder) -> str:
    """Drawn once for each run folder, so that a resumed run is the same run there."""
    file = run.path / "wandb" / "run-id"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        write_file(file, uuid.uuid4().hex[:16])
    return file.read_text()


_STARTS = {"tensorboard": _start_tensorboard, "wandb": _start_wandb}


def _picture_for_tensorboard(tracker: GeneralTracker, picture: Image.Image, step: int) -> None:
    tracker.tracker.add_image("samples", np.asarray(picture), step, dataformats="HWC")


def _picture_for_wandb(tracker: GeneralTracker, picture: Image.Image, step: int) -> None:
    tracker.log_images({"samples": [picture]}, step=step)


_PICTURES = {"tensorboard": _picture_for_tensorboard, "wandb": _picture_for_wandb}
