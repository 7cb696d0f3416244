"""Every evaluation by the name of its command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .probes import evaluate_finetune, evaluate_knn, evaluate_linear
from .quality import evaluate_quality
from .representation import evaluate_alignment
from .robustness import evaluate_robustness
from .transfer import evaluate_transfer

TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "linear": evaluate_linear,
    "knn": evaluate_knn,
    "finetune": evaluate_finetune,
    "transfer": evaluate_transfer,
    "robustness": evaluate_robustness,
    "quality": evaluate_quality,
    "alignment": evaluate_alignment,
}


def evaluate(source: str | Path, data: str | list[str], task: str = "linear", **options: Any) -> dict[str, Any]:
    """What `synthcl eval TASK SOURCE --data DATA` does.

        evaluate("runs/real", "cifar10", label_fraction=0.1)["top1"]

    Args:
        source: a run of `synthcl train` or an encoder's folder; for `quality` a shard set or a generator.
        data: SPEC of the images to fit on; of `transfer` a list, empty beside `suite`.
        task: one of `TASKS`.
        options: those of the command, with underscores.

    Returns:
        The result, as `--json` prints it.

    Raises:
        UsageError: an unknown task or options that cannot be used.
        DataError: something that cannot be read.
    """
    if task not in TASKS:
        raise UsageError(f"there is no evaluation {task!r}; choose one of {', '.join(TASKS)}")
    return TASKS[task](source, data, **options)
