"""NNCLR (Dwibedi et al. 2021, arXiv 2104.14548), on groups of any number of views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .halves import half_contrast
from .heads import batchnorm_mlp
from .precision import at_least_float32, full_precision, unit_length
from .queue import enqueue, random_queue
from .recipe import OptimizerRecipe
from .validation import num_features, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class NNCLR(Learner):
    """A view's nearest neighbour in a support set of earlier projections attracts the predictions of its group's other
    views, and repels those of other groups (eq. 3; algorithm 1).

    Both directions of a pair count; the loss is their mean. Groups of more than two views: see `halves`. A view's
    `hardness` is the loss of its neighbour; the gradient of it reaches the views that it is compared with, and its
    projector through them. `embeddings` are the projections.

    The support set takes the projections of all views of a step after it, in order of group, real and synthetic ones
    alike: a neighbour of a real image may be a sample, and the other way round. (Algorithm 1 queues the first view of
    each image alone.) `forward` changes it as little as MoCo's does its queue.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projector's two hidden layers (section 4.1).
        embedding_dim: D (section 4.1).
        predictor_dim: width of the predictor's hidden layer (section 4.1).
        queue_size: K, projections that the support set holds. 4096 is lightly's for CIFAR-10, about the part of its
            images that the paper's 98304 are of ImageNet's.
        temperature: of the softmax (section 4.1).
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.12,
        weight_decay=5e-4,
        source="lightly's CIFAR-10 benchmark: SGD 0.06 for a batch of 128, no warm-up (which is then ours too)",
    )

    queue: Tensor  # (K, D)
    queue_position: Tensor  # (), the row that the next projection takes

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 256,
        predictor_dim: int = 4096,
        queue_size: int = 4096,
        temperature: float = 0.1,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, predictor_dim=predictor_dim)
        require_positive(queue_size=queue_size, temperature=temperature)
        self.temperature = temperature
        self.backbone = backbone
        self.projector = batchnorm_mlp(
            num_features(backbone), hidden_dim, hidden_dim, embedding_dim, output_batchnorm=True
        )
        self.predictor = batchnorm_mlp(embedding_dim, predictor_dim, embedding_dim)
        self.register_buffer("queue", random_queue(queue_size, embedding_dim))
        self.register_buffer("queue_position", torch.zeros((), dtype=torch.int64))

    def least_loss(self, num_positives: int) -> float:
        return math.log(num_positives)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.projector(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        projections = self.project(self.backbone, self.projector, views, groups, num_real)
        embeddings = unit_length(projections.detach())
        predictions = unit_length(self.predict(self.predictor, projections, num_real))
        losses = half_contrast(nearest(embeddings, self.queue), predictions, groups, self.temperature)
        self.note(embeddings, groups)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), embeddings)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Put the step's projections, those of all processes, in the support set."""
        if (noted := self.take_notes()) is not None:
            enqueue(self.queue, self.queue_position, *noted)


@torch.no_grad()
def nearest(embeddings: Tensor, queue: Tensor) -> Tensor:
    """The row of the queue (K, D) with the largest cosine to each embedding (N, D); (N, D), all of unit length (eq. 2).

    No gradient flows through the choice.
    """
    with full_precision(embeddings):
        queue = at_least_float32(queue)
        return queue[(at_least_float32(embeddings) @ queue.T).argmax(dim=1)]
