"""`eval linear`, `knn`, `transfer` and `finetune`: how well classes can be told apart with an encoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ..configs.evaluate import (
    EvaluationConfig,
    FinetuneConfig,
    KnnConfig,
    LinearConfig,
    OneSetConfig,
    TransferConfig,
)
from ..randomness import Key
from .features import cached_features, choose_device
from .knn import knn_scores
from .linear import choose_l2, fit_logistic
from .results import build_result, options_of, record_result
from .scores import summarise
from .supervised import train_classifier
from .task import Task, open_task


def evaluate_linear(run: str | Path, data: str, **options: Any) -> dict[str, Any]:
    """The linear probe of an encoder.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        data: SPEC of the images to fit on.
        options: those of `LinearConfig`; see `synthcl eval linear --help`.

    Returns:
        `task`, `top1`, `top5`, `top1_interval`, `per_class` (all in [0, 1]), `num_train`, `num_test`, `run`, `seconds`,
        `l2`, every option, `scored_on_training_split`, `warnings` and more; also written to RUN/evaluations/.

    Raises:
        UsageError: options that cannot be used.
        DataError: no encoder, images that cannot be read, or no labels.
    """
    config = LinearConfig.from_values({"data": data, **options})
    started = time.monotonic()
    task = _open(run, config)
    values: dict[str, Any] = {}
    if config.probe == "sgd":
        scores = train_classifier(task, config, "linear-sgd")
    else:
        scores, values = _lbfgs_scores(task, config)
    return _result("linear", run, task, config, scores, started, **values)


def evaluate_knn(run: str | Path, data: str, **options: Any) -> dict[str, Any]:
    """The weighted nearest-neighbour accuracy of an encoder; as `evaluate_linear`, with the options of `KnnConfig`."""
    config = KnnConfig.from_values({"data": data, **options})
    started = time.monotonic()
    task = _open(run, config)
    k = config.neighbours
    if k > len(task.subset):
        task.warn(f"k is {len(task.subset)} instead of {k}: there are no more labeled images")
        k = len(task.subset)
    train, test = _features(task, config)
    scores = knn_scores(
        train,
        task.subset_labels.to(train.device),
        test,
        k=k,
        temperature=config.vote_temperature,
        num_classes=task.num_classes,
    )
    return _result("knn", run, task, config, scores, started, k=k, temperature=config.vote_temperature)


def evaluate_finetune(run: str | Path, data: str, **options: Any) -> dict[str, Any]:
    """Encoder and classifier trained together with labels; as `evaluate_linear`, with the options of `FinetuneConfig`.

    The run's encoder stays as it is.
    """
    config = FinetuneConfig.from_values({"data": data, **options})
    started = time.monotonic()
    task = _open(run, config)
    scores = train_classifier(task, config, "finetune")
    return _result("finetune", run, task, config, scores, started)


def evaluate_transfer(run: str | Path, data: list[str], **options: Any) -> dict[str, Any]:
    """The linear probe of one encoder on several image sets.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        data: SPECs of the images to fit on.
        options: those of `TransferConfig`.

    Returns:
        `results`, one of `evaluate_linear` for each set; `top1` their mean; `num_train` and `num_test` their sums.
    """
    config = TransferConfig.from_values({"data": data, **options})
    started = time.monotonic()
    shared = {n: v for n, v in asdict(config).items() if n not in ("data", "test_data")}
    tests: Sequence[str | None] = config.test_data or [None] * len(config.data)
    results = [
        evaluate_linear(run, one, test_data=test, **shared) for one, test in zip(config.data, tests, strict=True)
    ]
    return {
        "task": "transfer",
        "top1": sum(result["top1"] for result in results) / len(results),
        "num_train": sum(result["num_train"] for result in results),
        "num_test": sum(result["num_test"] for result in results),
        "run": str(run),
        "seconds": round(time.monotonic() - started, 3),
        "results": results,
    }


def _open(run: str | Path, config: OneSetConfig) -> Task:
    return open_task(
        run,
        config.data,
        test_data=config.test_data,
        label_fraction=config.label_fraction,
        untrained=config.untrained,
        data_root=config.data_root,
        seed=config.seed,
    )


def _features(task: Task, config: EvaluationConfig) -> tuple[Tensor, Tensor]:
    """Features of the labeled training images and of the test images, where the computing is done."""
    device = choose_device()
    train, test = (
        cached_features(
            task.encoder,
            store,
            task.home / "cache" / "features",
            batch_size=config.batch_size,
            precision=config.precision,
            device=device,
        )
        for store in (task.train, task.test)
    )
    return train[task.subset].to(device), test.to(device)


def _lbfgs_scores(task: Task, config: LinearConfig) -> tuple[Tensor, dict[str, Any]]:
    train, test = _features(task, config)
    labels = task.subset_labels.to(train.device)
    l2 = config.l2
    if l2 is None:
        key = Key.from_seed(config.seed).child("evaluation", "l2")
        l2 = choose_l2(train, labels, num_classes=task.num_classes, key=key)
    return fit_logistic(train, labels, l2=l2, num_classes=task.num_classes)(test), {"l2": l2}


def _result(
    name: str, run: str | Path, task: Task, config: EvaluationConfig, scores: Tensor, started: float, **values: Any
) -> dict[str, Any]:
    options = options_of(config)
    summary = summarise(scores.cpu(), task.test_labels)
    seconds = round(time.monotonic() - started, 3)
    result = build_result(task, name, run, {**options, **values}, **summary, seconds=seconds)
    return record_result(task.home, result, options)
