"""VICReg (Bardes et al. 2022, arXiv 2105.04906), on pairs of a group's views."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from .base import Learner, LearnerOutput
from .heads import batchnorm_mlp
from .pairs import Pairs, pair_views
from .precision import at_least_float32, full_precision, unit_length
from .recipe import OptimizerRecipe
from .statistics import num_pairs, pair_mean, pair_product, without_diagonal
from .validation import num_features, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions

EPSILON = 1e-4
"""Added to variances (eq. 2)."""


class Weights(NamedTuple):
    """Weights of the three terms (eq. 6)."""

    invariance: float
    variance: float
    covariance: float


def vicreg_loss(projections: Tensor, pairs: Pairs, weights: Weights) -> tuple[Tensor, Tensor]:
    """Invariance, variance and covariance of paired views over all processes (eq. 1 to 6).

    As in the authors' code the invariance is a mean over dimensions too, and the variance term that of both sides.

    Args:
        projections: (N, D).
        pairs: which views are compared; the first of each pair belongs to one side, the second to the other.
        weights: of the terms.

    Returns:
        The loss (), the same in every process, and each view's share (N,) detached, of which the loss is the mean: its
        pair's own distance and its part of the covariances; the variance term, which no view has a part of, is spread
        over all evenly.
    """
    with full_precision(projections):
        z = at_least_float32(projections)
        distance = (z - z[pairs.partner]).square().mean(dim=1)  # (N,)
        left, right = _spread(z, pairs), _spread(z[pairs.partner], pairs)
        variance = (left.variance_term + right.variance_term) / 2
        covariance = left.covariance_term + right.covariance_term
        loss = weights.invariance * pair_mean(distance, pairs)
        loss = loss + weights.variance * variance + weights.covariance * covariance
        shares = weights.invariance * distance.detach() + weights.variance * variance.detach()
        shares = shares + weights.covariance * (left.covariance_shares + right.covariance_shares)
        return loss, pairs.of_both(shares)


class _Spread(NamedTuple):
    variance_term: Tensor  # ()
    covariance_term: Tensor  # ()
    covariance_shares: Tensor  # (N,) detached: the covariance term is their mean over pairs


def _spread(z: Tensor, pairs: Pairs) -> _Spread:
    """The terms that concern one side of the pairs (N, D)."""
    unbiased = num_pairs(pairs) / (num_pairs(pairs) - 1)
    centred = z - pair_mean(z, pairs)
    covariance = unbiased * pair_product(centred, centred, pairs)  # (D, D)
    deviation = (covariance.diagonal() + EPSILON).sqrt()
    off_diagonal = without_diagonal(covariance)
    shares = ((centred.detach() @ off_diagonal.detach()) * centred.detach()).sum(dim=1)
    return _Spread(
        F.relu(1 - deviation).mean(), off_diagonal.square().sum() / z.shape[1], shares * unbiased / z.shape[1]
    )


class VICReg(Learner):
    """The two views of a pair agree, each dimension varies over the batch, and dimensions do not covary.

    `hardness` is each view's share of the loss; see `vicreg_loss`.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projector's hidden layers. 2048 here and below is solo-learn's for CIFAR; the paper has
            8192 (section 4.2).
        embedding_dim: D.
        invariance_weight: lambda (section 4.2).
        variance_weight: mu (section 4.2).
        covariance_weight: nu (section 4.2).
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.015,
        weight_decay=5e-4,
        source="the rate is ours, for SGD: the method is published with LARS, and 0.12 for 96 images diverges",
    )

    loss_of_each_view: ClassVar[bool] = False

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 2048,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        self.weights = Weights(invariance_weight, variance_weight, covariance_weight)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim)
        require_positive(
            invariance_weight=invariance_weight, variance_weight=variance_weight, covariance_weight=covariance_weight
        )
        self.backbone = backbone
        self.projector = batchnorm_mlp(num_features(backbone), hidden_dim, hidden_dim, embedding_dim, output_bias=False)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.projector(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        projections = self.project(self.backbone, self.projector, views, groups, num_real)
        loss, shares = vicreg_loss(projections, pair_views(groups), self.weights)
        return LearnerOutput(loss, shares, unit_length(projections.detach()))
