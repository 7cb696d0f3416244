"""DINO (Caron et al. 2021, arXiv 2104.14294) with multi-crop, on groups of any number of views.

Shapes: N global views in this process, L local ones, D dimensions, K prototypes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Learner, LearnerOutput, LocalViews
from .collectives import gather
from .heads import gelu_mlp
from .losses import same_group
from .momentum import cosine_momentum, follow, momentum_copy
from .parts import statistics_kept
from .precision import full_precision, unit_length
from .recipe import OptimizerRecipe
from .validation import num_features, require_fraction, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class DINO(Learner):
    """Self-distillation: a student's distribution over prototypes, from one view, meets the teacher's from the others.

    The teacher is a momentum encoder; its outputs are centred by their moving average over the views of all processes
    and sharpened by a low temperature, which together keep it from giving one answer to all (section 3.1). It sees the
    global views alone. The loss of a group is the mean cross-entropy (eq. 1 to 3) over all pairs of a teacher's global
    view and a student's other view, global or local: for two global views that is the published loss, and a group of
    four is one of four global crops.

    A view's `hardness` is its share of its group's pairs: those of which it is the student's view, and an equal part of
    those of the group's local views. `embeddings` are what the prototypes are compared with.

    Local views go through the student by themselves, as in the authors' code, with batch statistics of their own; that
    running statistics follow the global views alone, which are what an encoder meets later, is ours. Left out of the
    authors' recipe: the schedules of teacher temperature and weight decay, and the first epoch with fixed prototypes;
    --clip-gradients is theirs for vision transformers (3.0). They probe the teacher; here, as with every method, the
    encoder that is trained is what is kept.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the head's two hidden layers (section 3.1).
        embedding_dim: D, the head's bottleneck (section 3.1).
        num_prototypes: K, outputs of the head. 2048 is lightly's for CIFAR-10; the paper has 65536.
        head_batchnorm: batch normalisation in the head's hidden layers, as the authors have for residual nets, and
            lightly for CIFAR-10. A residual net's features are all positive, so that without it all views begin with
            one answer; vision transformers, whose features are normalised, are trained without.
        temperature: of the student (section 3.1).
        teacher_temperature: below the student's, for sharper targets (section 3.1: from 0.04 to 0.07 over 30 epochs;
            the default of the authors' code: 0.04 throughout).
        center_momentum: m of the centre (eq. 4).
        momentum: of the teacher at the beginning. 0.99 is lightly's for CIFAR-10; the paper has 0.996.
        final_momentum: at the end of training, along a cosine (section 3.1).
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        base_learning_rate=0.6,
        weight_decay=5e-4,
        source="lightly's CIFAR-10 benchmark, SGD, but for the learning rate, which is ours: five times its 0.06 for a "
        "batch of 128, as nearly uniform distributions over the prototypes have small gradients, and short trainings "
        "did not leave them at less; for vision transformers the authors have AdamW, --optimizer adamw",
    )

    takes_local_views: ClassVar[bool] = True

    center: Tensor  # (K,)

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 256,
        num_prototypes: int = 2048,
        head_batchnorm: bool = True,
        temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
        momentum: float = 0.99,
        final_momentum: float = 1.0,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, num_prototypes=num_prototypes)
        require_positive(temperature=temperature, teacher_temperature=teacher_temperature)
        require_fraction(center_momentum=center_momentum, momentum=momentum, final_momentum=final_momentum)
        self.temperature, self.teacher_temperature = temperature, teacher_temperature
        self.center_momentum = center_momentum
        self.momentum, self.final_momentum = momentum, final_momentum
        self.backbone = backbone
        sizes = num_features(backbone), hidden_dim, hidden_dim, embedding_dim
        self.head = gelu_mlp(*sizes, batchnorm=head_batchnorm)
        self.prototypes = nn.Linear(embedding_dim, num_prototypes, bias=False)
        self.momentum_backbone = momentum_copy(self.backbone)
        self.momentum_head = momentum_copy(self.head)
        self.momentum_prototypes = momentum_copy(self.prototypes)
        self.register_buffer("center", torch.zeros(num_prototypes))

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.head(self.backbone(views)))

    def forward(
        self, views: Tensor, groups: Tensor, num_real: int | None = None, local: LocalViews | None = None
    ) -> LearnerOutput:
        embeddings = unit_length(self.project(self.backbone, self.head, views, groups, num_real))
        students = self._log_distribution(embeddings)
        with torch.no_grad():
            seen = self.project(self.momentum_backbone, self.momentum_head, views, groups, num_real)
            teachers = prototype_similarity(unit_length(seen), self.momentum_prototypes)
        with full_precision(students):
            targets = ((teachers - self.center) / self.teacher_temperature).softmax(dim=1)
        if local is None:
            losses = distillation(students, targets, groups)
        else:
            with statistics_kept(self.backbone), statistics_kept(self.head):
                crops = self.project(self.backbone, self.head, *local)
            crops = self._log_distribution(unit_length(crops))
            losses = distillation(students, targets, groups, crops, local.groups)
        self.note(teachers)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), embeddings.detach())

    def _log_distribution(self, embeddings: Tensor) -> Tensor:
        """The logarithm of the student's distribution (N, K) over the prototypes, of embeddings (N, D)."""
        with full_precision(embeddings):
            return (prototype_similarity(embeddings, self.prototypes) / self.temperature).log_softmax(dim=1)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Move the centre towards the mean output of the teacher, over all processes, and the teacher."""
        if (noted := self.take_notes()) is not None:
            self.center.lerp_(gather(noted[0].mean(dim=0, keepdim=True)).mean(dim=0), 1 - self.center_momentum)
        momentum = cosine_momentum(self.momentum, self.final_momentum, progress)
        follow(self.momentum_backbone, self.backbone, momentum)
        follow(self.momentum_head, self.head, momentum)
        follow(self.momentum_prototypes, self.prototypes, momentum)


def prototype_similarity(embeddings: Tensor, prototypes: nn.Linear) -> Tensor:
    """The head's outputs (N, K), in at least float32: cosines of embeddings (N, D) of unit length with the prototypes,
    whose length does not count (the authors' weight normalisation with its scale fixed at 1)."""
    with full_precision(embeddings):
        return F.linear(embeddings, unit_length(prototypes.weight))


def distillation(
    students: Tensor,
    targets: Tensor,
    groups: Tensor,
    local_students: Tensor | None = None,
    local_groups: Tensor | None = None,
) -> Tensor:
    """The cross-entropies of eq. 3, as the share of each global view: their mean over a group's views is the mean over
    the group's pairs of a teacher's global view and a student's other view.

    Args:
        students: (N, K) logarithms of the student's distributions, of the global views.
        targets: (N, K) of the teacher, each row a distribution; without gradient.
        groups: (N,) integers; every group has two global views or more.
        local_students: (L, K) likewise, of the local views; none if not given.
        local_groups: (L,) integers, those of `groups` that they belong to.

    Returns:
        (N,).
    """
    same = same_group(groups)
    others = same.clone().fill_diagonal_(False).to(targets.dtype)
    # The cross-entropy is linear in the targets: that with their sum is the sum of those with each.
    total = -(others @ targets * students).sum(dim=1)
    pairs = others.sum(dim=1)  # (N,) of which a view is the student's
    if local_students is None or local_groups is None:
        return total / pairs
    inside = (groups[:, None] == local_groups[None]).to(targets.dtype)  # (N, L)
    size = same.sum(dim=1).to(targets.dtype)
    of_local = -(inside.T @ targets * local_students).sum(dim=1)  # (L,) summed over the teacher's views
    # A group of V global views and U local ones has V U pairs with those: U for each global view.
    return (total + inside @ of_local / size) / (pairs + inside.sum(dim=1))
