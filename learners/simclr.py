"""SimCLR (Chen et al. 2020, arXiv 2002.05709), on groups of any number of views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .heads import batchnorm_mlp, mlp
from .losses import attraction, ppcl
from .precision import unit_length
from .recipe import OptimizerRecipe
from .validation import num_features, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class SimCLR(Learner):
    """Views of a group attract each other and repel all other views of the batch, over all processes.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projection head. 2048 and the two below are solo-learn's for CIFAR; the paper has
            `num_features`, 128 and 0.5.
        embedding_dim: D.
        temperature: of the softmax.
        head_batchnorm: whether batch normalisation follows each layer of the head, the last one too, as in the authors'
            code (google-research/simclr) and in lightly's; the paper's text has none.
        synthetic_negatives: whether a real view is compared with synthetic ones; without,
            synthetic images push no real image away. Synthetic views are compared with all others in any case.
            `SyntheticTerms(loss="clsp")` goes further: there they are nobody's negatives.
    """

    clsp_weight: ClassVar[float | None] = 1.0  # the authors' configuration for SimCLR (arXiv 2408.16965)

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.12,
        weight_decay=5e-4,
        source="lightly's CIFAR-10 benchmark: SGD 0.06 for a batch of 128, no warm-up (which is then ours too)",
    )

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 256,
        temperature: float = 0.2,
        head_batchnorm: bool = False,
        synthetic_negatives: bool = True,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, temperature=temperature)
        self.backbone = backbone
        sizes = num_features(backbone), hidden_dim, embedding_dim
        self.head = batchnorm_mlp(*sizes, output_batchnorm=True) if head_batchnorm else mlp(*sizes)
        self.temperature = temperature
        self.synthetic_negatives = synthetic_negatives

    def least_loss(self, num_positives: int) -> float:
        return math.log(num_positives)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.head(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        embeddings = unit_length(self.project(self.backbone, self.head, views, groups, num_real))
        losses = self._losses(embeddings, groups, num_real)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), embeddings.detach())

    def _losses(self, embeddings: Tensor, groups: Tensor, num_real: int | None) -> Tensor:
        if self.synthetic.loss == "clsp" and num_real is not None:
            real = ppcl(embeddings[:num_real], groups[:num_real], self.temperature)
            return torch.cat((real, attraction(embeddings, groups, num_real)[num_real:]))
        return ppcl(embeddings, groups, self.temperature, None if self.synthetic_negatives else num_real)
