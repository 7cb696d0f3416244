"""The linear probe: multinomial logistic regression on fixed features, by L-BFGS to the optimum.

The problem is scikit-learn's, with its C written as l2 = 1 / (C N), so that a penalty means the same for sets of any
size: minimise

    mean_i( -log softmax(W x_i + b)[y_i] ) + l2 / 2 ||W||^2

over W (C, F) and b (C,), where x are features standardised with the mean and standard deviation of the training set (so
that one grid of penalties suits every encoder; features without variance are left out).

L-BFGS runs on an equivalent problem that is far better conditioned: in the eigenbasis of the features' covariance, each
weight scaled by the inverse root of its own curvature, which is estimated anew from round to round (near a small
penalty's optimum most samples are sure, and the curvature is orders of magnitude below its bound). The rotation is
computed once for all penalties.

Shapes: N training samples, F features, C classes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..randomness import Key
from .subsets import folds

log = logging.getLogger(__name__)

L2_GRID = tuple(10.0**-power for power in range(7))
"""Penalties to choose from: 1 to 1e-6, one a decade. Ours."""

PATIENCE = 2
"""The search ends after so many penalties that are no better than the best. Ours: small ones take the longest."""

NUM_FOLDS = 5
FEW_SAMPLES = 5000
"""The penalty is chosen on a fifth of the training set; up to this many samples on each fifth in turn. Ours."""

TOLERANCE = 1e-5
"""The fit ends when no entry of the gradient, in scaled coordinates, is larger. An entry's square is twice what the
loss may still fall by. Ours: accuracies then agree with those of scikit-learn's optimum to a sample or two in ten
thousand."""
CHOICE_TOLERANCE = 1e-4
"""The tolerance while the penalty is chosen. Ours."""
SAME_LOSS = 1e-3
"""Held-out losses that differ by less, in nats a sample, are taken for equal. Ours."""
RESOLUTION = 1e-6
"""A round that lowers the loss by a smaller part than this is the last: nearer, float32 sees noise. Ours."""
ROUND_ITERATIONS, MAX_ROUNDS = 40, 50
"""Iterations between estimates of the curvature, and how many rounds there are at most. Ours, measured."""


@dataclass
class Standardised:
    """Training features in the coordinates that the solver works in.

    Attributes:
        features: (F, N) standardised and rotated to the eigenbasis of their covariance; transposed, since a product
            with few classes is several times quicker on a CPU that way.
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
        rotated = (standard @ basis).T.contiguous()
        return cls(rotated, variances.clamp(min=0).to(features.dtype), mean, scale[:, None] * basis)


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
    """The penalty of `L2_GRID` with the lowest cross-entropy on held-out parts of the training set.

    Of equally good ones the largest, since it is the safer. By cross-entropy and not by accuracy, which is coarse: with
    500 labels that chose worse in 18 of 48 cases and lost a point in the mean, and this lost nothing
    (benchmarks/penalty.py). A held-out sample counts where its class is among those that are fitted, so that of a class
    of one sample does not: what it costs is how far the bias of a class without samples fell before the fit ended.

    Args:
        features: (N, F) float32.
        labels: (N,) int64.
        num_classes: C.
        key: which part is held out.

    Returns:
        One of `L2_GRID`; 1 where no held-out sample counts, as with one sample a class.
    """
    fold = folds(labels.cpu(), NUM_FOLDS, key).to(labels.device)
    paths = []
    for number in range(NUM_FOLDS if len(labels) <= FEW_SAMPLES else 1):
        fitted = fold != number
        counted = ~fitted & torch.isin(labels, labels[fitted])
        if counted.any():
            paths.append(_Path(features[fitted], labels[fitted], features[counted], labels[counted], num_classes))
    num_counted = sum(len(path.test_labels) for path in paths)
    losses: list[float] = []
    for l2 in L2_GRID:
        losses.append(sum(path.loss(l2) for path in paths) / max(1, num_counted))
        if len(losses) - 1 - _best(losses) >= PATIENCE:
            break
    return L2_GRID[_best(losses)]


def _best(losses: list[float]) -> int:
    """The first that is not clearly worse than any."""
    return next(i for i, loss in enumerate(losses) if loss <= min(losses) + SAME_LOSS)


class _Path:
    """Solutions for falling penalties, each started from the one before, and their loss on test samples."""

    def __init__(
        self, features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, num_classes: int
    ) -> None:
        self.data, self.labels, self.num_classes = Standardised.of(features), labels, num_classes
        self.test_features, self.test_labels = test_features, test_labels
        self.solution: Tensor | None = None

    def loss(self, l2: float) -> float:
        """The cross-entropy of the test samples, their sum."""
        self.solution = _solve(self.data, self.labels, l2, self.num_classes, CHOICE_TOLERANCE, self.solution)
        scores = _classifier(self.data, self.solution)(self.test_features)
        return float(nn.functional.cross_entropy(scores, self.test_labels, reduction="sum"))


def _solve(
    data: Standardised, labels: Tensor, l2: float, num_classes: int, tolerance: float, start: Tensor | None = None
) -> Tensor:
    """Weights and, last, bias, (C, F + 1), in the coordinates of `data`."""
    parameters = data.features.new_zeros(num_classes, len(data.features) + 1) if start is None else start
    for _ in range(MAX_ROUNDS):
        scale = _curvature(data.features, parameters, l2).rsqrt()
        scaled = parameters / scale
        before, after = _minimise(scaled, scale, data.features, labels, l2, tolerance)
        parameters = scaled * scale
        if before - after <= RESOLUTION * after:  # measured in the newest scale, not only in an old one
            return parameters
    log.warning("the logistic regression with l2 = %g stopped after %d rounds, not converged", l2, MAX_ROUNDS)
    return parameters


def _minimise(
    scaled: Tensor, scale: Tensor, features: Tensor, labels: Tensor, l2: float, tolerance: float
) -> tuple[float, float]:
    """A round of L-BFGS, in place on the scaled parameters; the loss before and after."""
    optimizer = torch.optim.LBFGS(
        [scaled],
        max_iter=ROUND_ITERATIONS,
        max_eval=2 * ROUND_ITERATIONS,
        history_size=20,
        tolerance_grad=tolerance,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        value, gradient = _loss_and_gradient(features, labels, scaled * scale, l2)
        scaled.grad = gradient * scale
        return value

    before = optimizer.step(loss)
    return float(before), float(loss())


def _curvature(features: Tensor, parameters: Tensor, l2: float) -> Tensor:
    """The diagonal of the Hessian, (C, F + 1), at weights and bias (C, F + 1) for features (F, N)."""
    probabilities = torch.addmm(parameters[:, -1:], parameters[:, :-1], features).softmax(dim=0)
    variance = probabilities.mul_(1 - probabilities) / features.shape[1]  # (C, N)
    weights = variance @ features.square().T + l2
    # Where every sample is sure, float32 leaves a bias no curvature at all; ours, so that its step stays finite.
    biases = variance.sum(dim=1, keepdim=True) + 1e-7
    return torch.cat((weights, biases), dim=1)


def _loss_and_gradient(features: Tensor, labels: Tensor, parameters: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """The value to minimise, and its gradient (C, F + 1), at weights and bias (C, F + 1) for features (F, N)."""
    weight, bias = parameters[:, :-1], parameters[:, -1:]
    log_probabilities = torch.addmm(bias, weight, features).log_softmax(dim=0)  # (C, N)
    samples = torch.arange(len(labels), device=labels.device)
    value = -log_probabilities[labels, samples].mean() + l2 / 2 * weight.square().sum()
    residual = log_probabilities.exp_()
    residual[labels, samples] -= 1
    residual /= len(labels)
    gradient = torch.cat((torch.addmm(weight, residual, features.T, beta=l2), residual.sum(dim=1, keepdim=True)), dim=1)
    return value, gradient


def _classifier(data: Standardised, solution: Tensor) -> LinearClassifier:
    weight = solution[:, :-1] @ data.projection.T
    return LinearClassifier(weight, solution[:, -1] - weight @ data.mean)
