"""Applying an operation to some samples of a batch.

On the host the selected samples are gathered, so that the others cost nothing. On an accelerator their number is not
known without waiting for it, so the operation runs on all of them and a mask keeps what was asked for. Compiled code
does so on the host too: its shapes are fixed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def on_host(tensor: Tensor) -> bool:
    """Whether the values of a tensor can be looked at without waiting for a device, by code that is not compiled."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def per_sample(values: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1), to broadcast over images."""
    return values[:, None, None, None]


def apply_where(selected: Tensor, operation: Callable[..., Tensor], images: Tensor, *parameters: Tensor) -> Tensor:
    """`operation(images, *parameters)` for the selected samples, the others as they are.

    Args:
        selected: (N,) bool, on the device of the images.
        operation: keeps the shape of the images, and treats each sample by itself.
        images: (N, 3, H, W).
        parameters: (N, ...) each.
    """
    if not on_host(selected):
        return torch.where(per_sample(selected), operation(images, *parameters), images)
    index = selected.nonzero()[:, 0]
    if len(index) == 0:
        return images
    if len(index) == len(images):
        return operation(images, *parameters)
    return replaced(images, index, operation(images.index_select(0, index), *(p[index] for p in parameters)))


def replaced(images: Tensor, index: Tensor, changed: Tensor) -> Tensor:
    """The images (N, ...) with those at `index` (K,) changed to `changed` (K, ...)."""
    source = torch.arange(len(images))
    source[index] = torch.arange(len(images), len(images) + len(index))
    # Three times as fast as `index_copy`, which moves value by value what these two move by the image.
    return torch.cat((images, changed)).index_select(0, source)
