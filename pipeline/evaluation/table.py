"""Every evaluation by the name of its command. Imports no torch until one is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..configs.evaluate import (
    AlignmentConfig,
    FinetuneConfig,
    KnnConfig,
    LinearConfig,
    QualityConfig,
    RobustnessConfig,
    TransferConfig,
)
from ..errors import UsageError
from ..options.config import Config


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """What the rest of the package knows of an evaluation.

    Attributes:
        config: its options.
        module, function: where in this package the function lies that is called with a source and the config.
        summary: what it is, in a sentence: the help of its command.
        source: what its command calls what is evaluated.
        metavar: the same in the command's help.
    """

    config: type[Config]
    module: str
    function: str
    summary: str
    source: str = "run"
    metavar: str = "RUN"

    def load(self) -> Callable[..., dict[str, Any]]:
        """The function."""
        return getattr(import_module(f".{self.module}", __package__), self.function)


TASKS: dict[str, TaskEntry] = {
    "linear": TaskEntry(
        config=LinearConfig,
        module="probes",
        function="evaluate_linear",
        summary="Linear probe: logistic regression on the features of the frozen encoder.",
    ),
    "knn": TaskEntry(
        config=KnnConfig,
        module="probes",
        function="evaluate_knn",
        summary="Weighted nearest neighbours in the features of the frozen encoder.",
    ),
    "finetune": TaskEntry(
        config=FinetuneConfig,
        module="probes",
        function="evaluate_finetune",
        summary="Train encoder and classifier together with labels; the run's encoder stays as it is.",
    ),
    "transfer": TaskEntry(
        config=TransferConfig,
        module="transfer",
        function="evaluate_transfer",
        summary="Linear probe on several image sets (--data may be repeated), or on a --suite of them.",
    ),
    "robustness": TaskEntry(
        config=RobustnessConfig,
        module="robustness",
        function="evaluate_robustness",
        summary="Linear probe of clean images on corrupted ones: noise, blur, fog, JPEG and others, in five "
        "severities.",
    ),
    "quality": TaskEntry(
        config=QualityConfig,
        module="quality",
        function="evaluate_quality",
        summary="Precision, recall, density, coverage, Fréchet distance and memorisation of synthetic images.",
        source="source",
        metavar="SHARDS|GENERATOR",
    ),
    "alignment": TaskEntry(
        config=AlignmentConfig,
        module="representation",
        function="evaluate_alignment",
        summary="Alignment and uniformity of the encoder's features.",
    ),
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
    return TASKS[task].load()(source, data, **options)
