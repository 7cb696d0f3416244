"""Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230), on pairs of a group's views."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .heads import batchnorm_mlp
from .pairs import Pairs, pair_views
from .precision import at_least_float32, full_precision, unit_length
from .recipe import OptimizerRecipe
from .statistics import pair_mean, pair_product, without_diagonal
from .validation import num_features, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions

EPSILON = 1e-5
"""Added to variances, as by the batch normalisation of the authors' code."""


def barlow_twins_loss(projections: Tensor, pairs: Pairs, off_diagonal_weight: float) -> tuple[Tensor, Tensor]:
    """How far the cross-correlation of paired views over all processes is from the identity (eq. 1 and 2).

    The loss is a sum of squares of correlations C, and C is a mean over pairs. With one factor of each square left as
    the mean, the other written out, the loss is itself a mean over pairs, and the terms of that mean are the shares.

    Args:
        projections: (N, D).
        pairs: which views are compared; the first of each pair belongs to one side, the second to the other.
        off_diagonal_weight: lambda.

    Returns:
        The loss (), the same in every process, and each view's share (N,) detached, of which the loss is the mean.
    """
    with full_precision(projections):
        z = at_least_float32(projections)
        left, right = _standardise(z, pairs), _standardise(z[pairs.partner], pairs)
        correlation = pair_product(left, right, pairs)  # (D, D)
        invariance = 1 - correlation.diagonal()
        redundancy = without_diagonal(correlation)
        loss = invariance.square().sum() + off_diagonal_weight * redundancy.square().sum()
        left, right = left.detach(), right.detach()
        shares = (1 - left * right) @ invariance.detach()
        shares = shares + off_diagonal_weight * ((left @ redundancy.detach()) * right).sum(dim=1)
        return loss, pairs.of_both(shares)


def _standardise(z: Tensor, pairs: Pairs) -> Tensor:
    """(N, D) with mean 0 and variance 1 over the pairs of all processes."""
    centred = z - pair_mean(z, pairs)
    return centred * (pair_mean(centred.square(), pairs) + EPSILON).rsqrt()


class BarlowTwins(Learner):
    """Each dimension correlates with itself across the two views of a pair, and with no other dimension.

    `hardness` is each view's share of the sum of squared correlations; see `barlow_twins_loss`.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projector's hidden layers. 2048 here and below is solo-learn's for CIFAR; the paper has
            8192 (section 2.2).
        embedding_dim: D.
        off_diagonal_weight: lambda (section 2.2).
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.12,
        weight_decay=5e-4,
        source="lightly's CIFAR-10 benchmark: SGD 0.06 for a batch of 128, no warm-up",
    )

    loss_of_each_view: ClassVar[bool] = False

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 2048,
        off_diagonal_weight: float = 5e-3,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, off_diagonal_weight=off_diagonal_weight)
        self.off_diagonal_weight = off_diagonal_weight
        self.backbone = backbone
        self.projector = batchnorm_mlp(num_features(backbone), hidden_dim, hidden_dim, embedding_dim, output_bias=False)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.projector(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        projections = self.project(self.backbone, self.projector, views, groups, num_real)
        loss, shares = barlow_twins_loss(projections, pair_views(groups), self.off_diagonal_weight)
        return LearnerOutput(loss, shares, unit_length(projections.detach()))
