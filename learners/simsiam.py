"""SimSiam (Chen and He 2021, arXiv 2011.10566), on pairs of a group's views."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .cosine import cosine_similarity
from .heads import batchnorm_mlp
from .pairs import pair_views
from .precision import unit_length
from .recipe import OptimizerRecipe
from .validation import num_features, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class SimSiam(Learner):
    """A predictor foretells, from one view, the projection of the other, through which no gradient flows: `-cos`.

    Every view predicts its partner; the loss is the mean (eq. 4). `embeddings` are the projections.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projector's hidden layers (section 3).
        embedding_dim: D (section 3).
        predictor_dim: width of the predictor's hidden layer, a bottleneck (section 3).
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.03,
        weight_decay=5e-4,
        source="the paper's CIFAR-10 experiments (arXiv 2011.10566, appendix D): SGD 0.03 for a batch of 256",
    )

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 2048,
        predictor_dim: int = 512,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, predictor_dim=predictor_dim)
        self.backbone = backbone
        self.projector = batchnorm_mlp(
            num_features(backbone), hidden_dim, hidden_dim, embedding_dim, output_batchnorm=True
        )
        self.predictor = batchnorm_mlp(embedding_dim, predictor_dim, embedding_dim)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.projector(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        projections = self.project(self.backbone, self.projector, views, groups, num_real)
        targets = projections.detach()[pair_views(groups).partner]
        losses = -cosine_similarity(self.predict(self.predictor, projections, num_real), targets)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), unit_length(projections.detach()))
