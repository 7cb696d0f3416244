"""The contests of `training.py --parts probe,knn`: the probes of `eval` beside the same of public libraries.

All have the same features, those of an encoder made up, and answer for the same test features.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from speed import Stopwatch, contest, once, ratio, spread
from torch import Tensor, nn

from synthcl.pipeline.evaluation.knn import knn_scores
from synthcl.pipeline.evaluation.linear import fit_logistic

CLASSES, FEATURES = 10, 512
Rows = Iterator[dict[str, Any]]


def probe(options: argparse.Namespace, watch: Stopwatch) -> Rows:
    """One fit on features as an encoder's, at the same penalty, to the optimum."""
    from by_hand import made_features
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    count = options.num_train
    features, labels = made_features(count + options.num_test, FEATURES, CLASSES)
    train, test, train_labels, test_labels = features[:count], features[count:], labels[:count], labels[count:]
    scaler = StandardScaler().fit(train.numpy())
    library = LogisticRegression(C=1 / (options.l2 * count), max_iter=2_000)
    found: dict[str, Tensor] = {}

    def fit_ours() -> None:
        on_device = train.to(watch.device), train_labels.to(watch.device)
        classifier = fit_logistic(*on_device, l2=options.l2, num_classes=CLASSES)
        found["ours"] = classifier(test.to(watch.device)).argmax(dim=1).cpu()

    def fit_library() -> None:
        library.fit(scaler.transform(train.numpy()), train_labels.numpy())
        found["sklearn"] = torch.from_numpy(library.predict(scaler.transform(test.numpy())))

    def fit_cuml() -> None:
        from cuml.linear_model import LogisticRegression

        # Standardised where ours does it, on the device; labels and answers are cuML's own kind of arrays.
        mean, std = torch.from_numpy(scaler.mean_).float(), torch.from_numpy(scaler.scale_).float()
        own_train, own_test = (((each - mean) / std).to(watch.device) for each in (train, test))
        model = LogisticRegression(C=1 / (options.l2 * count), max_iter=2_000, output_type="numpy")
        model.fit(own_train, train_labels.float().to(watch.device))
        found["cuml"] = torch.from_numpy(model.predict(own_test)).long()

    contestants = {"ours": once(fit_ours), "sklearn": once(fit_library)}
    if has_cuml(watch.device):
        contestants["cuml"] = once(fit_cuml)
    with threadpool_limits(torch.get_num_threads()):
        yield {
            "what": f"probe, {count:,} x {FEATURES}, l2 {options.l2:g}",
            **race_once(contestants, options, watch),
            **agreement(found, test_labels),
            "iterations_of_sklearn": int(library.n_iter_[0]),
        }


def knn(options: argparse.Namespace, watch: Stopwatch) -> Rows:
    """The weighted votes of the nearest neighbours, for the same k and temperature."""
    from by_hand import made_features
    from lightly.utils.benchmarking import knn_predict
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    count, k, temperature = options.num_train, options.neighbours, 0.1
    features, labels = made_features(count + options.num_test, FEATURES, CLASSES)
    features = nn.functional.normalize(features, dim=1)
    train, test, train_labels, test_labels = features[:count], features[count:], labels[:count], labels[count:]
    bank, queries, own_labels = (tensor.to(watch.device) for tensor in (train, test, train_labels))
    found: dict[str, Tensor] = {}

    def ours() -> None:
        scores = knn_scores(bank, own_labels, queries, k=k, temperature=temperature, num_classes=CLASSES)
        found["ours"] = scores.argmax(dim=1).cpu()

    def lightly() -> None:
        # A batch at a time, as its kNN classifier meets them.
        predicted = [
            knn_predict(chunk, bank.T, own_labels, num_classes=CLASSES, knn_k=k, knn_t=temperature)[:, 0]
            for chunk in queries.split(512)
        ]
        found["lightly"] = torch.cat(predicted).cpu()

    def sklearn() -> None:
        # Of unit vectors, d^2 = 2 - 2 cos.
        model = KNeighborsClassifier(k, algorithm="brute", weights=lambda d: np.exp((1 - d**2 / 2) / temperature))
        found["sklearn"] = torch.from_numpy(model.fit(train.numpy(), train_labels.numpy()).predict(test.numpy()))

    def cuml() -> None:
        from cuml.neighbors import NearestNeighbors

        model = NearestNeighbors(n_neighbors=k, algorithm="brute", output_type="numpy").fit(bank)
        distances, neighbours = (torch.from_numpy(each) for each in model.kneighbors(queries))
        votes = torch.exp((1 - distances.float() ** 2 / 2) / temperature)
        scores = torch.zeros(len(queries), CLASSES).scatter_add_(1, train_labels[neighbours.long()], votes)
        found["cuml"] = scores.argmax(dim=1)

    contestants = {"ours": once(ours), "lightly": once(lightly), "sklearn": once(sklearn)}
    if has_cuml(watch.device):
        contestants["cuml"] = once(cuml)
    with threadpool_limits(torch.get_num_threads()):
        yield {
            "what": f"knn, {len(test):,} queries against {count:,}, k {k}",
            **race_once(contestants, options, watch),
            **agreement(found, test_labels),
        }


def has_cuml(device: torch.device) -> bool:
    """Whether cuML can take part: it is installed, and there is a GPU, without which it does not run."""
    return device.type == "cuda" and importlib.util.find_spec("cuml") is not None


def race_once(
    contestants: dict[str, Callable[[int], None]], options: argparse.Namespace, watch: Stopwatch
) -> dict[str, Any]:
    """Seconds of each, and how many times as long as ours the others take."""
    warmup = options.warmup if watch.device.type == "cuda" else 0  # on a CPU the first is like the others
    times, _ = contest(contestants, rounds=options.rounds, warmup=warmup, steps=1, watch=watch)
    found = {f"{name}_s": spread(own) for name, own in times.items()}
    return found | {f"{name}_over_ours": ratio(own, times["ours"]) for name, own in times.items() if name != "ours"}


def agreement(found: dict[str, Tensor], labels: Tensor) -> dict[str, float]:
    """Accuracies, and the part of answers that are ours."""
    accuracies = {f"accuracy_{name}": round(float((own == labels).float().mean()), 4) for name, own in found.items()}
    same = {
        f"answers_as_ours_{name}": round(float((own == found["ours"]).float().mean()), 4)
        for name, own in found.items()
        if name != "ours"
    }
    return accuracies | same
