"""BYOL (Grill et al. 2020, arXiv 2006.07733), on pairs of a group's views."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .cosine import cosine_similarity
from .heads import batchnorm_mlp
from .momentum import cosine_momentum, follow, momentum_copy
from .pairs import pair_views
from .precision import unit_length
from .recipe import OptimizerRecipe
from .validation import num_features, require_fraction, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class BYOL(Learner):
    """A predictor foretells, from one view, what a momentum encoder makes of the other: `2 - 2 cos` (eq. 2).

    Every view predicts its partner, so both directions of a pair count, as in the paper; the loss is their mean, where
    the paper has their sum. `embeddings` are the projections before the predictor, which compare like with like.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projector and of the predictor (section 3.3).
        embedding_dim: D (section 3.3).
        momentum: of the momentum encoder at the beginning. 0.99 is solo-learn's for CIFAR; the paper has 0.996.
        final_momentum: at the end of training, along a cosine (section 3.2).
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.06,
        weight_decay=5e-4,
        source="lightly's CIFAR-10 benchmark: SGD 0.06 for a batch of 128 and the mean of -cos, which has half the "
        "gradient; no warm-up",
    )

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 4096,
        embedding_dim: int = 256,
        momentum: float = 0.99,
        final_momentum: float = 1.0,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim)
        require_fraction(momentum=momentum, final_momentum=final_momentum)
        self.momentum, self.final_momentum = momentum, final_momentum
        self.backbone = backbone
        self.projector = batchnorm_mlp(num_features(backbone), hidden_dim, embedding_dim)
        self.predictor = batchnorm_mlp(embedding_dim, hidden_dim, embedding_dim)
        self.momentum_backbone = momentum_copy(self.backbone)
        self.momentum_projector = momentum_copy(self.projector)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.projector(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        projections = self.project(self.backbone, self.projector, views, groups, num_real)
        with torch.no_grad():
            targets = self.project(self.momentum_backbone, self.momentum_projector, views, groups, num_real)
        predictions = self.predict(self.predictor, projections, num_real)
        losses = 2 - 2 * cosine_similarity(predictions, targets[pair_views(groups).partner])
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), unit_length(projections.detach()))

    def after_step(self, progress: float) -> None:
        """Move the momentum encoder."""
        momentum = cosine_momentum(self.momentum, self.final_momentum, progress)
        follow(self.momentum_backbone, self.backbone, momentum)
        follow(self.momentum_projector, self.projector, momentum)
