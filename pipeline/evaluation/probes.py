"""`eval linear`, `knn` and `finetune`: how well classes can be told apart with an encoder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from torch import Tensor

from ..configs.evaluate import EvaluationConfig, FewLabelsConfig, FinetuneConfig, KnnConfig, LinearConfig, OneSetConfig
from ..randomness import Key
from .accuracy import summarise
from .calling import takes_data_and_options
from .features import cached_features, choose_device
from .knn import knn_scores
from .linear import LinearClassifier, choose_l2, fit_logistic
from .low_shot import Classify, check_shots, low_shot_scores
from .results import asked_of, build_result, options_of, record_result
from .supervised import train_classifier
from .task import Task, open_task


@takes_data_and_options(LinearConfig)
def evaluate_linear(run: str | Path, config: LinearConfig) -> dict[str, Any]:
    """The linear probe of an encoder.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        config: the options, or they by name: `evaluate_linear("runs/real", "cifar10", label_fraction=0.1)`.

    Returns:
        `task`, `top1`, `top5`, `top1_interval`, `mean_per_class`, `per_class` (all in [0, 1]), `num_train`, `num_test`,
        `run`, `seconds`, `l2`, every option, `scored_on_training_split`, `warnings` and more; with `shots` also
        `low_shot`, a row for each number (see `low_shot_scores`); also written to RUN/evaluations/.

    Raises:
        UsageError: options that cannot be used, or more shots than the smallest class has images.
        DataError: no encoder, images that cannot be read, or no labels.
    """
    started = time.monotonic()
    task = open_one(run, config)
    check_shots(task, config.shot_numbers())
    if config.probe == "sgd":
        scores = train_classifier(task, config, "linear-sgd")
        return result_of("linear", run, task, config, scores, started)
    train, test = features_of(task, config)
    classifier, l2 = fit_lbfgs(task, train, config.l2, config.seed)

    def classify(features: Tensor, labels: Tensor, others: Tensor, key: Key) -> Tensor:
        penalty = config.l2 or choose_l2(features, labels, num_classes=task.num_classes, key=key.child("l2"))
        return fit_logistic(features, labels, l2=penalty, num_classes=task.num_classes)(others)

    few = _few_labels(task, config, train, test, classify)
    return result_of("linear", run, task, config, classifier(test), started, l2=l2, **few)


@takes_data_and_options(KnnConfig)
def evaluate_knn(run: str | Path, config: KnnConfig) -> dict[str, Any]:
    """The weighted nearest-neighbour accuracy of an encoder; as `evaluate_linear`, with the options of `KnnConfig`."""
    started = time.monotonic()
    task = open_one(run, config)
    check_shots(task, config.shot_numbers())
    k, temperature = config.neighbours, config.vote_temperature
    if k > len(task.subset):
        task.warn(f"k is {len(task.subset)} instead of {k}: there are no more labeled images")
        k = len(task.subset)
    train, test = features_of(task, config)

    def classify(features: Tensor, labels: Tensor, others: Tensor, key: Key) -> Tensor:
        near = min(k, len(features))  # all that there are, of few labels
        return knn_scores(features, labels, others, k=near, temperature=temperature, num_classes=task.num_classes)

    scores = classify(train, task.subset_labels.to(train.device), test, Key.from_seed(config.seed))
    few = _few_labels(task, config, train, test, classify)
    return result_of("knn", run, task, config, scores, started, k=k, temperature=temperature, **few)


@takes_data_and_options(FinetuneConfig)
def evaluate_finetune(run: str | Path, config: FinetuneConfig) -> dict[str, Any]:
    """Encoder and classifier trained together with labels; as `evaluate_linear`, with the options of `FinetuneConfig`.

    The run's encoder stays as it is. With `preset="simclr"` and a `label_fraction` of 0.01 or 0.1 this is the
    semi-supervised protocol of SimCLR (arXiv 2002.05709, section 4.2 and appendix B.5): a part of each class, the whole
    network fine-tuned from the backbone's features on, its projection head left out (SimCLR v2, arXiv 2006.10029, keeps
    the head's first layer; the folder of an encoder has no head). Ours are: a batch of 256 where the paper has 4096, or
    as many images as have labels if they are fewer; an image size that is the encoder's, without a larger one to crop
    from; a classifier that begins at normal numbers of .01; and each class's part rounded up.
    """
    started = time.monotonic()
    task = open_one(run, config)
    scores = train_classifier(task, config, "finetune")
    came_to = {name: value for name, value in config.settings()._asdict().items() if name in config.to_dict()}
    return result_of("finetune", run, task, config, scores, started, **came_to)


def open_one(run: str | Path, config: OneSetConfig) -> Task:
    """The task that options ask for."""
    return open_task(
        run,
        config.data,
        test_data=config.test_data,
        label_fraction=config.label_fraction,
        untrained=config.untrained,
        data_root=config.data_root,
        seed=config.seed,
    )


def features_of(task: Task, config: EvaluationConfig) -> tuple[Tensor, Tensor]:
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


def fit_lbfgs(task: Task, train: Tensor, l2: float | None, seed: int) -> tuple[LinearClassifier, float]:
    """The linear probe fitted to the labeled training images, and its penalty.

    Args:
        task: whose labels they are.
        train: (M, F) their features.
        l2: the penalty; chosen on a part of them if not given.
        seed: which part.
    """
    labels = task.subset_labels.to(train.device)
    if l2 is None:
        key = Key.from_seed(seed).child("evaluation", "l2")
        l2 = choose_l2(train, labels, num_classes=task.num_classes, key=key)
    return fit_logistic(train, labels, l2=l2, num_classes=task.num_classes), l2


def _few_labels(
    task: Task, config: FewLabelsConfig, train: Tensor, test: Tensor, classify: Classify
) -> dict[str, list[dict[str, Any]]]:
    """What the result says of few labels: nothing where they are not asked for."""
    numbers = config.shot_numbers()
    if not numbers:
        return {}
    return {"low_shot": low_shot_scores(task, train, test, classify, numbers, config.draws, config.seed)}


def result_of(
    name: str, run: str | Path, task: Task, config: EvaluationConfig, scores: Tensor, started: float, **values: Any
) -> dict[str, Any]:
    """What an evaluation of a classifier says, which is recorded.

    Args:
        name: of the evaluation, such as `linear`.
        run: as the user called it.
        task: what was evaluated.
        config: the options.
        scores: (M, C) of the test images.
        started: when, by `time.monotonic`.
        values: what it says besides; of an option, the value that it came to.
    """
    options = options_of(config)
    summary = summarise(scores.cpu(), task.test_labels)
    seconds = round(time.monotonic() - started, 3)
    result = build_result(task, name, run, {**options, **values}, **summary, seconds=seconds)
    return record_result(task.home, result, asked_of(options))
