"""MoCo v2 (Chen et al. 2020, arXiv 2003.04297; He et al. 2020, arXiv 1911.05722), on groups of any number of views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .heads import mlp
from .losses import attraction, queue_contrast
from .momentum import cosine_momentum, follow, momentum_copy
from .precision import unit_length
from .queue import enqueue, random_queue
from .recipe import OptimizerRecipe
from .validation import num_features, require_fraction, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class MoCo(Learner):
    """Each view is a query, attracted by the keys of its group's other views and repelled by a queue of earlier keys.

    Keys come from the momentum encoder as it stands after the last step. `forward` changes neither the encoder nor the
    queue: it only notes its keys, and `after_step` puts them in the queue and moves the encoder. So the queue is the
    same throughout a step, whatever the number of its forward passes, and a checkpoint between steps holds all there
    is. Forward passes in eval mode or under `no_grad` note nothing.

    The momentum encoder normalises with the statistics of its own batch. MoCo shuffles keys over processes, so that the
    statistics of one process's few images do not betray which key belongs to which query; here normalisation is over
    the views of all processes (`convert_sync_batchnorm`), which serves the same end, and nothing is shuffled.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projection head (MoCo v2, section 2).
        embedding_dim: D. This and the three below are those of the authors' CIFAR-10 notebook.
        queue_size: K, keys that the queue holds. Every view of a step adds one.
        temperature: of the softmax.
        momentum: m of the momentum encoder.
        final_momentum: where m goes by the end of training, along a cosine; it stays as it is if not given. solo-learn
            goes from 0.99 to 0.999.
    """

    clsp_weight: ClassVar[float | None] = 0.5  # the authors' configuration for MoCo (arXiv 2408.16965)

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.06,
        weight_decay=5e-4,
        source="the MoCo authors' CIFAR-10 notebook: SGD 0.06 for a batch of 512 and the sum of two directions, which "
        "is 0.06 for 256 and their mean",
    )

    queue: Tensor  # (K, D)
    queue_position: Tensor  # (), the row that the next key takes

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 128,
        queue_size: int = 4096,
        temperature: float = 0.1,
        momentum: float = 0.99,
        final_momentum: float | None = None,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        self.momentum = momentum
        self.final_momentum = momentum if final_momentum is None else final_momentum
        require_positive(
            hidden_dim=hidden_dim, embedding_dim=embedding_dim, queue_size=queue_size, temperature=temperature
        )
        require_fraction(momentum=momentum, final_momentum=self.final_momentum)
        self.temperature = temperature
        self.backbone = backbone
        self.head = mlp(num_features(backbone), hidden_dim, embedding_dim)
        self.momentum_backbone = momentum_copy(self.backbone)
        self.momentum_head = momentum_copy(self.head)
        self.register_buffer("queue", random_queue(queue_size, embedding_dim))
        self.register_buffer("queue_position", torch.zeros((), dtype=torch.int64))

    def least_loss(self, num_positives: int) -> float:
        return math.log(num_positives)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.head(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        queries = unit_length(self.project(self.backbone, self.head, views, groups, num_real))
        # Under CLSP's loss synthetic views are nobody's negatives: they have no keys.
        with_keys = slice(num_real if self.synthetic.loss == "clsp" else None)
        views, key_groups = views[with_keys], groups[with_keys]
        with torch.no_grad():
            keys = unit_length(self.project(self.momentum_backbone, self.momentum_head, views, key_groups, num_real))
        losses = queue_contrast(queries[with_keys], keys, key_groups, self.queue, self.temperature)
        if len(keys) < len(queries):
            losses = torch.cat((losses, attraction(queries, groups, num_real)[num_real:]))
        self.note(keys, key_groups)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), queries.detach())

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Queue the step's keys, those of all processes, and move the momentum encoder."""
        if (noted := self.take_notes()) is not None:
            enqueue(self.queue, self.queue_position, *noted)
        momentum = cosine_momentum(self.momentum, self.final_momentum, progress)
        follow(self.momentum_backbone, self.backbone, momentum)
        follow(self.momentum_head, self.head, momentum)
