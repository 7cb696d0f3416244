"""`eval linear|knn --shots`: classifiers of a few labelled images of each class, as their mean over several draws.

Shapes: N training images, M test images, F features, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from ..errors import UsageError
from ..progress.line import Progress
from ..randomness import Key
from .accuracy import mean_interval, summarise
from .subsets import shot_subset
from .task import Task

Classify: TypeAlias = Callable[[Tensor, Tensor, Tensor, Key], Tensor]
"""Features (n, F) and labels (n,) to fit to, features (M, F) to score and a key to scores (M, C)."""
MEASURES = ("top1", "mean_per_class")


def check_shots(task: Task, shots: Sequence[int]) -> None:
    """Refuse numbers of images that a class does not have, before anything is computed.

    Raises:
        UsageError: one that is too large; the message names the smallest class.
    """
    counts = task.train_labels.bincount(minlength=task.num_classes)
    smallest = int(counts.argmin())
    if shots and max(shots) > counts[smallest]:
        raise UsageError(
            f"--shots {max(shots)} asks for more images of a class than there are: {task.train.name} has "
            f"{int(counts[smallest]):,} of class {task.classes[smallest]}; give --shots {int(counts[smallest])} or less"
        )


def low_shot_scores(
    task: Task, train: Tensor, test: Tensor, classify: Classify, shots: Sequence[int], draws: int, seed: int
) -> list[dict[str, Any]]:
    """Accuracies of classifiers that are fitted to few images of each class.

    Each draw is independent of the others; within a draw, fewer images are part of more.

    Args:
        task: whose labels they are.
        train: (N, F) features of all training images.
        test: (M, F).
        classify: what fits a classifier and scores with it.
        shots: images of a class, none above what the smallest class has.
        draws: how many times they are drawn, 2 or more.
        seed: which draws.

    Returns:
        For each number `shots`, `draws`, the means `top1` and `mean_per_class` in [0, 1], their 95% intervals over the
        draws (`top1_interval`, ...; of the draw of the images alone, and so None where each draw is all the images),
        and the draws' own (`top1_draws`, ...).
    """
    root = Key.from_seed(seed).child("evaluation", "shots")
    most = int(task.train_labels.bincount().max())  # of any class
    rows = []
    with Progress("few labels", len(shots) * draws, "fits") as progress:
        for place, number in enumerate(shots):
            found = []
            for draw in range(draws):
                key = root.child(draw)
                chosen = shot_subset(task.train_labels, number, key)
                labels = task.train_labels[chosen].to(train.device)
                scores = classify(train[chosen.to(train.device)], labels, test, key)
                found.append(summarise(scores.cpu(), task.test_labels))
                progress.update(place * draws + draw + 1)
            rows.append(_row(number, found, varies=number < most))
    return rows


def _row(shots: int, found: Sequence[dict[str, Any]], *, varies: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"shots": shots, "draws": len(found)}
    for name in MEASURES:
        values = [one[name] for one in found]
        interval = mean_interval(values) if varies else None
        row |= {name: sum(values) / len(values), f"{name}_interval": interval, f"{name}_draws": values}
    return row
