"""Adversarial views: each moved a little towards a higher loss, as a rival of samples that are made to be hard.

Shapes: N views in this process, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .normalization import denormalize, normalize


@dataclass(frozen=True)
class AdversarialViews:
    """The fast gradient sign method on views, as in CLAE (Ho & Vasconcelos 2020, arXiv 2010.12050).

    A pixel x in [0, 1] becomes x + epsilon * sign(dL/dx), cut to [0, 1]. Views here are normalised by the encoder's
    mean and deviation, which does not change the sign: they are taken back to [0, 1], moved, and normalised again.

    The authors take the gradient in a pass of its own, move one of an image's two views and contrast it with the clean
    one that it was. Here, and this is ours, the gradient is that of the clean pass, which costs nothing more; all views
    of an image are moved and are each other's positives, which every learner can take; and views stay valid images.
    The authors' 0.03 is of images normalised to [-1, 1], so 0.015 of [0, 1].

    Attributes:
        epsilon: how far each pixel moves, in (0, 1].
        weight: of the loss of adversarial views beside that of clean ones, alpha in the paper; 1 in its authors'
            configurations.
    """

    epsilon: float
    weight: float = 1.0

    def watch(self, views: Tensor) -> Tensor:
        """The views (N, 3, H, W) as they are, which will hold their gradient after the backward pass."""
        if not views.requires_grad:
            return views.detach().requires_grad_()
        views.retain_grad()
        return views

    def __call__(self, views: Tensor, gradient: Tensor) -> Tensor:
        """Views (N, 3, H, W), normalised, moved along their gradient (N, 3, H, W), without a graph.

        Only the sign of each value of the gradient counts, so it may be scaled. Where it is no number, as when fp16
        overflows, a pixel stays.
        """
        pixels = denormalize(views.detach())
        return normalize((pixels + self.epsilon * gradient.sign().nan_to_num(0.0)).clamp(0, 1))
