"""What a classifier's scores come to: accuracies, by class, and how sure they are.

Shapes: M test samples, C classes, scores (M, C), labels (M,) int64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import binom, t
from torch import Tensor

CONFIDENCE = 0.95
"""The confidence of all intervals. Ours: the customary value."""


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int) -> float:
    """Part of the samples, in [0, 1], whose class is among the k with the highest scores (all classes count if fewer).

    Of equal scores the first class goes first, as with `argmax`; so an accuracy does not depend on the device.
    """
    own = scores.gather(1, labels[:, None])
    classes = torch.arange(scores.shape[1], device=scores.device)
    before = (scores > own) | ((scores == own) & (classes < labels[:, None]))
    return (before.sum(dim=1) < k).double().mean().item()


def summarise(scores: Tensor, labels: Tensor) -> dict[str, Any]:
    """`top1`, `top5`, `per_class` (None for a class without test samples), `mean_per_class` (over those with some), all
    in [0, 1], and `top1_interval`."""
    correct = scores.argmax(dim=1) == labels
    counts = labels.bincount(minlength=scores.shape[1])
    hits = labels[correct].bincount(minlength=scores.shape[1])
    per_class = [h / n if n else None for h, n in zip(hits.tolist(), counts.tolist(), strict=True)]
    known = [accuracy for accuracy in per_class if accuracy is not None]
    return {
        "top1": correct.double().mean().item(),
        "top5": top_k_accuracy(scores, labels, 5),
        "top1_interval": bootstrap_interval(int(correct.sum()), len(labels)),
        "mean_per_class": sum(known) / len(known),
        "per_class": per_class,
    }


def bootstrap_interval(num_correct: int, num_samples: int) -> list[float]:
    """The percentile bootstrap interval of an accuracy (Efron 1979), over resamples of the test samples.

    How many of a resample are correct is binomial, so the interval of infinitely many resamples is computed and none
    is drawn. It says how sure an accuracy is given the size of the test set; it knows nothing of the variation between
    trainings, nor of the sharper comparison of two encoders on the same samples.

    Returns:
        Lower and upper end, in [0, 1].
    """
    tail = (1 - CONFIDENCE) / 2
    ends = binom.ppf([tail, 1 - tail], num_samples, num_correct / num_samples)
    return [float(end) / num_samples for end in ends]


def mean_interval(values: Sequence[float]) -> list[float]:
    """Student's interval of the mean of independent values, two or more; it may reach beyond [0, 1].

    Returns:
        Lower and upper end.
    """
    mean, num_values = float(np.mean(values)), len(values)
    half = float(t.ppf((1 + CONFIDENCE) / 2, num_values - 1)) * float(np.std(values, ddof=1)) / math.sqrt(num_values)
    return [mean - half, mean + half]
