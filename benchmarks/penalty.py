"""How the penalty of the linear probe is best chosen on few labels: by accuracy on held-out parts, or by cross-entropy.

    python benchmarks/penalty.py RUN... --data cifar10:train --test-data cifar10:test --image-size 16

For each encoder, number of labels and draw of them, every penalty of the grid is fitted on all these labels and scored
on the test images; so the best there is is known, and what a choice without the test images loses against it. Both
rules choose from the same fits on the same held-out parts, as `eval linear` does. Prints a line of JSON for each choice
and, at the end, a table: points lost against the best penalty.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthcl.pipeline.data import open_images
from synthcl.pipeline.encoder import load_encoder
from synthcl.pipeline.evaluation.features import extract_features
from synthcl.pipeline.evaluation.linear import FEW_SAMPLES, L2_GRID, NUM_FOLDS, SAME_LOSS, fit_logistic
from synthcl.pipeline.evaluation.subsets import folds
from synthcl.pipeline.randomness import Key

Labelled = tuple[Tensor, Tensor]


def main() -> None:
    options = arguments()
    device = torch.device("cpu")
    stores = [open_images(spec, image_size=options.image_size) for spec in (options.data, options.test_data)]
    labels = [torch.as_tensor(np.asarray(store.labels)).long() for store in stores]
    num_classes = int(labels[0].max()) + 1
    order = torch.randperm(len(labels[0]), generator=torch.Generator().manual_seed(0))
    lost: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in options.runs:
        encoder = load_encoder(run)
        features = [extract_features(encoder, store, device=device) for store in stores]
        for count in options.num_labels:
            for draw in range(min(options.draws, len(order) // count)):
                part = order[draw * count : (draw + 1) * count]
                own, test = (features[0][part], labels[0][part]), (features[1], labels[1])
                accuracies = [correct(fit(own, l2, num_classes), test) / len(test[1]) for l2 in L2_GRID]
                for key in range(options.keys):
                    row = {"run": run, "num_labels": count, "draw": draw, "key": key}
                    for rule, place in choices(own, num_classes, Key.from_seed(key)).items():
                        row |= {rule: L2_GRID[place], f"lost_by_{rule}": 100 * (max(accuracies) - accuracies[place])}
                        lost[count][rule].append(row[f"lost_by_{rule}"])
                    print(json.dumps(row), flush=True)
    print(table(lost), file=sys.stderr)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs of train, whose encoders are probed")
    parser.add_argument("--data", required=True, help="SPEC of labelled images")
    parser.add_argument("--test-data", required=True, help="SPEC of the images to score on")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--num-labels", type=int, nargs="+", default=[500, 2_000, 5_000, 10_000, 20_000])
    parser.add_argument("--draws", type=int, default=4, help="parts of the images for each number of labels, at most")
    parser.add_argument("--keys", type=int, default=2, help="divisions of each part into folds")
    return parser.parse_args()


def fit(data: Labelled, l2: float, num_classes: int) -> Any:
    """The classifier of one penalty."""
    return fit_logistic(data[0], data[1], l2=l2, num_classes=num_classes)


def correct(classifier: Any, data: Labelled) -> int:
    """How many are right."""
    return int((classifier(data[0]).argmax(dim=1) == data[1]).sum())


def choices(data: Labelled, num_classes: int, key: Key) -> dict[str, int]:
    """The place in the grid that each rule chooses."""
    features, labels = data
    fold = folds(labels, NUM_FOLDS, key)
    right, losses = [0] * len(L2_GRID), [0.0] * len(L2_GRID)
    held_out = range(NUM_FOLDS if len(labels) <= FEW_SAMPLES else 1)
    num_held_out = sum(int((fold == number).sum()) for number in held_out)
    for number in held_out:
        part = fold == number
        for place, l2 in enumerate(L2_GRID):
            classifier = fit((features[~part], labels[~part]), l2, num_classes)
            right[place] += correct(classifier, (features[part], labels[part]))
            scores = classifier(features[part])
            losses[place] += float(nn.functional.cross_entropy(scores, labels[part], reduction="sum")) / num_held_out
    return {
        "accuracy": right.index(max(right)),
        "cross_entropy": next(i for i, loss in enumerate(losses) if loss <= min(losses) + SAME_LOSS),
    }


def table(lost: dict[int, dict[str, list[float]]]) -> str:
    """Points lost against the best penalty, in Markdown."""

    def words(values: Sequence[float]) -> str:
        return f"{statistics.mean(values):.3f} ({max(values):.2f})"

    lines = ["| labels | n | by accuracy: mean (most) | by cross-entropy |", "|---|---|---|---|"]
    for count, rules in sorted(lost.items()):
        accuracy, loss = rules["accuracy"], rules["cross_entropy"]
        lines.append(f"| {count:,} | {len(accuracy)} | {words(accuracy)} | {words(loss)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
