"""`eval robustness`: the linear probe of clean features on corrupted images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..configs.evaluate import RobustnessConfig
from ..randomness import Key
from .calling import takes_data_and_options
from .corruptions import CorruptedStore
from .features import choose_device, extract_features
from .probes import features_of, fit_lbfgs, open_one, result_of


@takes_data_and_options(RobustnessConfig)
def evaluate_robustness(run: str | Path, config: RobustnessConfig) -> dict[str, Any]:
    """How well a linear probe that is fitted to images as they are does on corrupted ones.

    The corruptions are of the kind of CIFAR-10-C (Hendrycks and Dietterich 2019, arXiv 1903.12261), made of the test
    images at the size of the encoder; see `corruptions` for what is ours. So numbers compare between encoders that were
    evaluated here at one image size, not with those that are published.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        config: the options, or they by name: `evaluate_robustness("runs/real", "cifar10", severities="5")`.

    Returns:
        What `evaluate_linear` says of the images as they are; `corrupted`, a row for each corruption and severity with
        its `top1` in [0, 1]; and `corrupted_top1`, the mean over them. The paper's mean corruption error is 1 less that
        mean, before it is divided by another network's.

    Raises:
        UsageError: options that cannot be used.
        DataError: no encoder, images that cannot be read, or no labels.
    """
    started = time.monotonic()
    task = open_one(run, config)
    train, test = features_of(task, config)
    classifier, l2 = fit_lbfgs(task, train, config.l2, config.seed)
    device = choose_device()
    labels = task.test_labels.to(test.device)
    key = Key.from_seed(config.seed).child("evaluation", "robustness")
    rows: list[dict[str, Any]] = []
    for name in config.corruption_names():
        for severity in config.severity_numbers():
            store = CorruptedStore(task.test, name, severity, key.child(name), device)
            features = extract_features(
                task.encoder, store, batch_size=config.batch_size, precision=config.precision, device=device
            )
            correct = classifier(features.to(test.device)).argmax(dim=1) == labels
            rows.append({"corruption": name, "severity": severity, "top1": correct.double().mean().item()})
    mean = sum(row["top1"] for row in rows) / len(rows)
    return result_of(
        "robustness", run, task, config, classifier(test), started, l2=l2, corrupted_top1=mean, corrupted=rows
    )
