"""What an evaluation says, and where it is kept: RUN/evaluations/TASK-HASH.json, one file for each question asked."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

from ..files import write_json
from ..run import environment
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


def record_result(home: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Keep a result in the folder of the run, with versions and the time of day.

    The same question asked again replaces its answer. Where the folder cannot be written, that is said and the result
    is not kept.

    Returns:
        The result with `versions` and `recorded`, the path of the file or None.
    """
    result = {**result, "versions": environment()["versions"]}
    file = home / "evaluations" / f"{result['task']}-{question_hash(result)}.json"
    try:
        file.parent.mkdir(exist_ok=True)
        write_json(file, {**result, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
    except OSError as error:
        log.warning("the result is not kept in %s: %s", file, error.strerror)
        return {**result, "recorded": None}
    return {**result, "recorded": str(file)}


ANSWERS = ("top1", "top5", "top1_interval", "per_class", "seconds", "versions", "warnings", "run", "results")
"""What is not part of a question. `run` is how the user called the folder that this lies in."""


def question_hash(result: dict[str, Any]) -> str:
    """Equal for results of the same evaluation with the same options, encoder and images."""
    return hash_of({name: value for name, value in result.items() if name not in ANSWERS})


def hash_of(values: dict[str, Any]) -> str:
    """A short hash of plain values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
