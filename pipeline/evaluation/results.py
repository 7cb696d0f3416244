"""What an evaluation says, and where it is kept: RUN/evaluations/TASK-HASH.json, one file for each question asked."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..files import write_json
from ..options.config import Config
from ..runtime.environment import record_environment
from .task import Task

log = logging.getLogger(__name__)


def build_result(task: Task, name: str, run: str | Path, options: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A result with what every evaluation states: what was asked, of which encoder, on which images.

    Args:
        task: what was evaluated.
        name: which evaluation, such as `linear`.
        run: as the user called it.
        options: as the user gave them.
        values: what came out.
    """
    return {
        "task": name,
        **values,
        "num_train": len(task.subset),
        "num_test": len(task.test),
        "num_classes": task.num_classes,
        "classes": task.classes,
        "run": str(run),
        "backbone": task.encoder.name,
        "image_size": task.encoder.image_size,
        "encoder_hash": task.encoder.weights_hash(),
        **options,
        "data": task.train.name,
        "test_data": task.test.name,
        "scored_on_training_split": task.scored_on_training_split,
        "warnings": task.warnings,
    }


def record_result(home: Path, result: dict[str, Any], options: Collection[str]) -> dict[str, Any]:
    """Keep a result in the folder of the run, with versions and the time of day.

    The same question asked again replaces its answer. Where the folder cannot be written, that is said and the result
    is not kept.

    Args:
        home: the folder.
        result: what came out, with `task` and `encoder_hash`.
        options: which entries of the result were given by the user: with the encoder they are the question.

    Returns:
        The result with `versions` and `recorded`, the path of the file or None.
    """
    result = {**result, "versions": record_environment()["versions"]}
    question = {name: result[name] for name in ("encoder_hash", *options)}
    file = home / "evaluations" / f"{result['task']}-{hash_of(question)}.json"
    try:
        file.parent.mkdir(exist_ok=True)
        write_json(file, {**result, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
    except OSError as error:
        log.warning("the result is not kept in %s: %s", file, error.strerror)
        return {**result, "recorded": None}
    return {**result, "recorded": str(file)}


def options_of(config: Config) -> dict[str, Any]:
    """The options that a result states: all but where data lie on this machine and whether a table is replaced."""
    return {name: value for name, value in config.to_dict().items() if name not in ("data_root", "overwrite")}


LATER = {"shots": None, "draws": 5, "preset": "ours", "layer_decay": None}
"""Options that came after results were recorded, with the values that ask what was asked before."""


def asked_of(options: dict[str, Any]) -> list[str]:
    """Which options make the question, so that results of before are replaced by their answer of now."""
    return [name for name, value in options.items() if name not in LATER or value != LATER[name]]


def hash_of(values: dict[str, Any] | list[Any]) -> str:
    """A short hash of plain values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
