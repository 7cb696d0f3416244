"""The measures of collapse are their formulas."""

import math

import numpy as np
import pytest
import torch

from synthcl.pipeline.evaluation.spread import feature_spread, rankme


def points(n=40, f=6, seed=0):
    return torch.randn(n, f, generator=torch.Generator().manual_seed(seed))


def naive_rankme(features):
    """By the eigenvalues of the Gram matrix, one at a time."""
    eigenvalues = np.linalg.eigvalsh(features.double().numpy().T @ features.double().numpy())
    singular = [math.sqrt(max(0.0, value)) for value in eigenvalues]
    entropy = 0.0
    for value in singular:
        p = value / sum(singular) + 1e-7
        entropy -= p * math.log(p)
    return math.exp(entropy)


def naive_spread(features):
    rows = [[float(x) / math.sqrt(sum(float(y) ** 2 for y in row)) for x in row] for row in features]
    deviations = []
    for column in zip(*rows, strict=True):
        mean = sum(column) / len(column)
        deviations.append(math.sqrt(sum((x - mean) ** 2 for x in column) / len(column)))
    return sum(deviations) / len(deviations) * math.sqrt(len(deviations))


def test_the_measures_are_their_formulas():
    assert rankme(points()) == pytest.approx(naive_rankme(points()))
    assert feature_spread(points()) == pytest.approx(naive_spread(points()))


def test_what_is_known_without_a_formula():
    assert rankme(torch.eye(5)) == pytest.approx(5, rel=1e-4)
    assert rankme(points()[:1].repeat(9, 1)) == pytest.approx(1, abs=1e-4)
    assert rankme(torch.zeros(4, 3)) == 0
    assert feature_spread(points()[:1].repeat(9, 1)) == pytest.approx(0, abs=1e-7)
    assert feature_spread(torch.cat((torch.eye(4), -torch.eye(4)))) == pytest.approx(1)
