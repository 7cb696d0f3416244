"""Functions whose forward and backward passes differ, between the generator and the learner."""

from __future__ import annotations

import torch
from torch import Tensor


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return images.view_as(images)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def reverse_gradient(images: Tensor, weight: float) -> Tensor:
    """The images as they are; the gradient times -weight (Ganin & Lempitsky 2015, arXiv 1409.7495, eq. 10-11).

    What descends the loss above it ascends it below.
    """
    return _ReverseGradient.apply(images, weight)


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images: Tensor) -> Tensor:
        return (images * 255).round_().clamp_(0, 255).div_(255)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


def quantize(images: Tensor) -> Tensor:
    """Images in [0, 1] rounded to 8 bits, with the gradient passed straight through (Bengio et al. 2013, 1308.3432).

    A sample that the learner sees is then the very image that a shard stores.
    """
    return _Quantize.apply(images)


def unscaled(gradient: Tensor, loss_scale: Tensor | None) -> Tensor:
    """The gradient of the loss itself. Where the scaled one has overflowed, in fp16, the learner's update is skipped,
    and so is the generator's part of it.

    Args:
        gradient: of the loss times `loss_scale`.
        loss_scale: (), on the gradient's device; None where the loss was not scaled.
    """
    if loss_scale is None:
        return gradient
    return torch.where(torch.isfinite(gradient).all(), gradient / loss_scale, torch.zeros_like(gradient))
