"""The linear probe: multinomial logistic regression on fixed features, by L-BFGS to the optimum.

The problem is scikit-learn's, with its C written as l2 = 1 / (C N), so that a penalty means the same for sets of any
size: minimise

    mean_i( -log softmax(W x_i + b)[y_i] ) + l2 / 2 ||W||^2

over W (C, F) and b (C,), where x are features standardised with the mean and standard deviation of the training set (so
that one grid of penalties suits every encoder; features without variance are left out).

L-BFGS runs on an equivalent problem that is far better conditioned: in the eigenbasis of the features' covariance,
each coordinate scaled by (e / 2 + l2)^(-1/2), e its variance: e / 2 bounds the curvature of the loss (Böhning 1992,
"Multinomial logistic regression algorithm"). The rotation is computed once for all penalties.

Shapes: N training samples, F features, C classes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..randomness import Key
from .subsets import folds

log = logging.getLogger(__name__)

L2_GRID = tuple(10.0 ** (-power / 2) for power in range(0, 13))
"""Penalties to choose from: 1 to 1e-6, two a decade. Ours."""

NUM_FOLDS = 5
FEW_SAMPLES = 5000
"""The penalty is chosen on a fifth of the training set; up to this many samples on each fifth in turn. Ours."""

TOLERANCE = 1e-5
"""Of the gradient, largest entry, in the scaled coordinates. Ours: predictions then agree with scikit-learn's."""
CHOICE_TOLERANCE = 1e-4
"""While choosing the penalty."""
MAX_ITERATIONS = 1000


@dataclass
class Standardised:
    """Training features in the coordinates that the solver works in.

    Attributes:
        features: (N, F) standardised and rotated to the eigenbasis of their covariance.
        variances: (F,) of the coordinates.
        mean, projection: features x come here as (x - mean) @ projection; (F,) and (F, F).
    """

    features: Tensor
    variances: Tensor
    mean: Tensor
    projection: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Standardised:
        """Standardise and rotate (N, F) float32."""
        mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
        scale = torch.where(std > 1e-6 * std.max(), 1 / std, 0.0)
        standard = (features - mean) * scale
        # An island of float64: small eigenvalues matter at small penalties.
        covariance = (standard.T @ standard).double() / len(features)
        variances, basis = torch.linalg.eigh(covariance)
        basis = basis.to(features.dtype)
        return cls(standard @ basis, variances.clamp(min=0).to(features.dtype), mean, scale[:, None] * basis)


@dataclass
class LinearClassifier:
    """Scores are `features @ weight.T + bias`; `weight` (C, F), `bias` (C,), for features as they come."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(M, F) features to (M, C) scores."""
        return features @ self.weight.T + self.bias


def fit_logistic(features: Tensor, labels: Tensor, *, l2: float, num_classes: int) -> LinearClassifier:
    """The optimum of the problem above.

    Args:
        features: (N, F) float32.
        labels: (N,) int64 in [0, C).
        l2: the penalty, above 0; scikit-learn's 1 / (C N).
        num_classes: C.
    """
    data = Standardised.of(features)
    return _classifier(data, _solve(data, labels, l2, num_classes, TOLERANCE))


def choose_l2(features: Tensor, labels: Tensor, *, num_classes: int, key: Key) -> float:
    """The penalty of `L2_GRID` with the highest accuracy on held-out parts of the training set.

    Of equally good ones the largest, since it is the safer.

    Args:
        features: (N, F) float32.
        labels: (N,) int64.
        num_classes: C.
        key: which part is held out.
    """
    fold = folds(labels.cpu(), NUM_FOLDS, key).to(labels.device)
    correct = torch.zeros(len(L2_GRID), dtype=torch.int64)
    for held_out in range(NUM_FOLDS if len(labels) <= FEW_SAMPLES else 1):
        fit, test = fold != held_out, fold == held_out
        if fit.any() and test.any():
            correct += _correct_by_l2(features[fit], labels[fit], features[test], labels[test], num_classes)
    return L2_GRID[int(correct.argmax())]


def _correct_by_l2(
    features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, num_classes: int
) -> Tensor:
    """How many test samples each penalty gets right, (len(L2_GRID),); each fit starts from that of the one before."""
    data = Standardised.of(features)
    solution, correct = None, []
    for l2 in L2_GRID:
        solution = _solve(data, labels, l2, num_classes, CHOICE_TOLERANCE, start=solution)
        predicted = _classifier(data, solution)(test_features).argmax(dim=1)
        correct.append(int((predicted == test_labels).sum()))
    return torch.tensor(correct)


def _solve(
    data: Standardised, labels: Tensor, l2: float, num_classes: int, tolerance: float, start: Tensor | None = None
) -> Tensor:
    """Weights and, last, bias, (C, F + 1), in the coordinates of `data`."""
    ones = data.variances.new_ones(1)
    scale = torch.cat(((data.variances / 2 + l2).rsqrt(), ones))
    parameters = data.features.new_zeros(num_classes, len(scale)) if start is None else start / scale
    parameters.requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=MAX_ITERATIONS,
        max_eval=2 * MAX_ITERATIONS,
        history_size=20,
        tolerance_grad=tolerance,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        weight = parameters * scale
        scores = torch.addmm(weight[:, -1], data.features, weight[:, :-1].T)
        value = F.cross_entropy(scores, labels) + l2 / 2 * weight[:, :-1].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    if not torch.isfinite(parameters).all():
        raise FloatingPointError("the logistic regression diverged; the features may hold values that are not finite")
    if optimizer.state[parameters]["n_iter"] >= MAX_ITERATIONS:
        log.warning("the logistic regression with l2 = %g stopped after %d iterations", l2, MAX_ITERATIONS)
    return (parameters * scale).detach()


def _classifier(data: Standardised, solution: Tensor) -> LinearClassifier:
    weight = solution[:, :-1] @ data.projection.T
    return LinearClassifier(weight, solution[:, -1] - weight @ data.mean)
