"""MoCo v3 (Chen, Xie and He 2021, arXiv 2104.02057), on groups of any number of views. There is no queue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .halves import half_contrast
from .heads import batchnorm_mlp
from .momentum import cosine_momentum, follow, momentum_copy
from .precision import unit_length
from .recipe import OptimizerRecipe
from .validation import num_features, require_fraction, require_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class MoCoV3(Learner):
    """A predictor foretells, from one view, the momentum encoder's key of the other, among the keys of the whole batch.

    Each view is a query and a key, so that both directions of a pair count; the loss is their mean, where algorithm 1
    has their sum. It has the factor 2 t of algorithm 1. Groups of more than two views: see `halves`. `embeddings` are
    the projections before the predictor, which compare like with like.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projector and of the predictor (section 3).
        embedding_dim: D (section 3).
        projector_layers: 2 for residual nets; 3 is the authors' for vision transformers.
        temperature: t, of the softmax. 0.2 is the authors' for vision transformers, and solo-learn's for CIFAR; they
            have 1 for ResNet-50.
        momentum: of the momentum encoder at the beginning (section 3).
        final_momentum: at the end of training, along a cosine (the authors' code).
        predictor_batchnorm: whether batch normalisation follows the predictor's last layer. If not given, it does for
            backbones that take patches, as in the authors' code for vision transformers; theirs for residual nets ends
            in the linear layer.
        freeze_patches: leave the patch projection of a vision transformer as it is drawn, which steadies its training
            (section 4.2). The authors draw it by Xavier's rule; here it is as timm draws it.
    """

    recipe: ClassVar[OptimizerRecipe] = OptimizerRecipe(
        optimizer="lars",
        base_learning_rate=0.3,
        weight_decay=1e-6,
        decay_norms=False,
        # The authors' rate and decay too, for ResNet-50 and 300 epochs of ImageNet by 4,096; their trust, 1e-3, makes
        # steps of small batches some fifty times smaller, with which short trainings hardly move.
        trust=0.02,
        clip=True,
        source="solo-learn's for CIFAR and ImageNet-100, which clips LARS; for vision transformers the authors have "
        "AdamW, --optimizer adamw",
    )

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 4096,
        embedding_dim: int = 256,
        projector_layers: int = 2,
        temperature: float = 0.2,
        momentum: float = 0.99,
        final_momentum: float = 1.0,
        predictor_batchnorm: bool | None = None,
        freeze_patches: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim, projector_layers=projector_layers)
        require_positive(temperature=temperature)
        require_fraction(momentum=momentum, final_momentum=final_momentum)
        self.temperature = temperature
        self.momentum, self.final_momentum = momentum, final_momentum
        self.backbone = backbone
        if freeze_patches:
            _patch_projection(backbone).requires_grad_(False)
        hidden = [hidden_dim] * (projector_layers - 1)
        self.projector = batchnorm_mlp(
            num_features(backbone), *hidden, embedding_dim, output_batchnorm=True, output_affine=False
        )
        if predictor_batchnorm is None:
            predictor_batchnorm = hasattr(backbone, "patch_embed")
        self.predictor = batchnorm_mlp(
            embedding_dim,
            hidden_dim,
            embedding_dim,
            output_batchnorm=predictor_batchnorm,
            output_affine=False,
            output_bias=False,
        )
        self.register_load_state_dict_pre_hook(_normalise_as_saved)
        self.momentum_backbone = momentum_copy(self.backbone)
        self.momentum_projector = momentum_copy(self.projector)

    def least_loss(self, num_positives: int) -> float:
        return 2 * self.temperature * math.log(num_positives)

    def embed(self, views: Tensor) -> Tensor:
        return unit_length(self.projector(self.backbone(views)))

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        projections = self.project(self.backbone, self.projector, views, groups, num_real)
        with torch.no_grad():
            keys = unit_length(self.project(self.momentum_backbone, self.momentum_projector, views, groups, num_real))
        queries = unit_length(self.predict(self.predictor, projections, num_real))
        losses = 2 * self.temperature * half_contrast(queries, keys, groups, self.temperature)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), unit_length(projections.detach()))

    def after_step(self, progress: float) -> None:
        """Move the momentum encoder."""
        momentum = cosine_momentum(self.momentum, self.final_momentum, progress)
        follow(self.momentum_backbone, self.backbone, momentum)
        follow(self.momentum_projector, self.projector, momentum)


def _normalise_as_saved(learner: nn.Module, state: Mapping[str, Any], prefix: str, *_: object) -> None:
    """Trainings from before `predictor_batchnorm` normalise the predictions of every backbone, and go on so."""
    assert isinstance(learner, MoCoV3)
    predictor = learner.predictor
    if f"{prefix}predictor.{len(predictor)}.running_mean" in state:
        hidden, last = predictor[1], predictor[-1]  # the kind of the first may be that of several processes
        assert isinstance(last, nn.Linear)
        normalisation = type(hidden)(last.out_features, affine=False)
        predictor.append(normalisation.to(last.weight).train(predictor.training))


def _patch_projection(backbone: nn.Module) -> nn.Module:
    """What makes tokens of the patches of an image.

    Raises:
        ValueError: a backbone that has no patches.
    """
    patches = getattr(backbone, "patch_embed", None)
    if not isinstance(patches, nn.Module):
        raise ValueError(
            f"freeze_patches must be False for a {type(backbone).__name__}, which takes no patches: it is for vision "
            "transformers, such as timm:vit_tiny_patch16_224."
        )
    return patches
