"""Between stored bytes, images in [0, 1] and what encoders take.

Encoders take images normalised with ImageNet's mean and standard deviation whatever they are trained on: what is
exported then fits the conventions of torchvision and timm, and a probe needs to know nothing of the training set.

Shapes: (..., 3, H, W), RGB.
"""

from __future__ import annotations

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def to_float(images: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1]."""
    if images.dtype != torch.uint8:
        raise ValueError(f"to_float takes uint8 images, not {images.dtype}")
    return images.float() / 255


def normalize(images: Tensor) -> Tensor:
    """Images in [0, 1] as encoders take them: zero mean and unit variance on ImageNet."""
    mean, std = _statistics(images)
    return (images - mean) / std


def denormalize(images: Tensor) -> Tensor:
    """The inverse of `normalize`."""
    mean, std = _statistics(images)
    return images * std + mean


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    if not images.is_floating_point() or images.shape[-3] != 3:
        raise ValueError(f"expected float images (..., 3, H, W), not {images.dtype} {tuple(images.shape)}")
    # Filled on the device, channel by channel: copying a list there would wait for it.
    columns = [[images.new_full((1, 1), v) for v in values] for values in (IMAGENET_MEAN, IMAGENET_STD)]
    mean, std = (torch.stack(values) for values in columns)
    return mean, std
