"""SimCLR (Chen et al. 2020, arXiv 2002.05709), on groups of any number of views."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .heads import mlp
from .losses import ppcl
from .precision import unit_length
from .recipe import Recipe
from .validation import require_positive


class SimCLR(Learner):
    """Views of a group attract each other and repel all other views of the batch, over all processes.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projection head. 2048 and the two below are solo-learn's for CIFAR; the paper has
            `num_features`, 128 and 0.5.
        embedding_dim: D.
        temperature: of the softmax.
    """

    recipe: ClassVar[Recipe] = Recipe(
        base_learning_rate=0.12,
        weight_decay=5e-4,
        source="lightly's CIFAR-10 benchmark: SGD 0.06 for a batch of 128, no warm-up (which is then ours too)",
    )

    def __init__(
        self, backbone: nn.Module, *, hidden_dim: int = 2048, embedding_dim: int = 256, temperature: float = 0.2
    ) -> None:
        super().__init__()
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, temperature=temperature)
        self.backbone = backbone
        self.head = mlp(backbone.num_features, hidden_dim, embedding_dim)
        self.temperature = temperature

    def forward(self, views: Tensor, groups: Tensor) -> LearnerOutput:
        embeddings = unit_length(self.head(self.encode(self.backbone, views, groups)))
        losses = ppcl(embeddings, groups, self.temperature)
        return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())
