"""Crop, resize and flip as one linear map a sample, and the blur as another.

A crop with flip that is resized bilinearly with antialiasing is separable: `rows @ image @ columns^T`, with a matrix of
weights for each axis and sample. Batched matrix products then do for the whole batch what `grid_sample` cannot: they
weigh *all* the pixels under an output pixel when a crop is larger than the view, so nothing aliases, and never look
outside the crop. The weights are those of torchvision's `resized_crop(..., antialias=True)`.

Shapes: N samples, S pixels a side of the view, H and W of the image. Positions in pixels; a pixel's centre is at +0.5.
Where TF32 matrix products are allowed, values carry its 10-bit mantissa (an eighth of a grey level of 8 bits).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def resize_weights(start: Tensor, length: Tensor, flip: Tensor | None, in_size: int, out_size: int) -> Tensor:
    """The weights of bilinear, antialiased resizing of a segment of an axis.

    Args:
        start: (N,) first pixel of the segment.
        length: (N,) its pixels.
        flip: (N,) bool, where the output runs backwards; None for nowhere.
        in_size: pixels of the axis.
        out_size: pixels of the output, S.

    Returns:
        (N, S, in_size); each row sums to 1 and is 0 outside the segment.
    """
    scale = (length / out_size)[:, None]
    outputs = torch.arange(out_size, device=start.device, dtype=start.dtype)[None]
    if flip is not None:
        outputs = torch.where(flip[:, None], out_size - 1 - outputs, outputs)
    centers = start[:, None] + scale * (outputs + 0.5)  # (N, S)
    inputs = torch.arange(in_size, device=start.device, dtype=start.dtype)
    inside = ((inputs >= start[:, None]) & (inputs < (start + length)[:, None])).to(start.dtype)  # (N, in_size)
    # A triangle one input pixel wide to each side, or one output pixel where those are larger.
    slopes = scale.clamp(min=1).reciprocal()
    distances = ((inputs + 0.5)[None, None] - centers[:, :, None]).abs_()
    weights = distances.mul_(-slopes[:, :, None]).add_(1).clamp_(min=0).mul_(inside[:, None])
    return weights.div_(weights.sum(-1, keepdim=True))


def separable(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`rows @ image @ columns^T` for each channel of each sample.

    Args:
        images: (N, C, H, W).
        rows: (N, S, H).
        columns: (N, T, W).

    Returns:
        (N, C, S, T).
    """
    n, channels, height, width = images.shape
    across = torch.bmm(images.reshape(n, channels * height, width), columns.transpose(1, 2))
    across = across.view(n, channels, height, -1)
    # One product a channel: broadcasting over them would copy `rows` for each, and takes four times as long.
    return torch.stack([torch.bmm(rows, channel) for channel in across.unbind(1)], dim=1)


def blur_weights(sigma: Tensor, size: int, radius: int) -> Tensor:
    """The weights of a Gaussian blur along an axis with reflected borders, as torchvision's `gaussian_blur` has them.

    Args:
        sigma: (N,) standard deviation in pixels, above 0.
        size: pixels of the axis, S.
        radius: the kernel has 2 radius + 1 taps; below S.

    Returns:
        (N, S, S); each row sums to 1.
    """
    taps = torch.arange(radius + 1, device=sigma.device, dtype=sigma.dtype)
    kernel = torch.exp(-0.5 * (taps / sigma[:, None]) ** 2)
    kernel = kernel / (2 * kernel.sum(1, keepdim=True) - kernel[:, :1])
    # Compiled code has no use for the cache: there the table is a part of a kernel.
    reached = _reached if torch.compiler.is_compiling() else _cached_reached
    return (kernel @ reached(size, radius, sigma.device, sigma.dtype)).view(-1, size, size)


def _reached(size: int, radius: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(radius + 1, S * S): how many times output pixel i sees input pixel j at each distance, mirrors included."""
    position = torch.arange(size, device=device)
    out, source = position[:, None], position[None]
    # In the mirrors before the first pixel and behind the last, those two are not seen again.
    before = torch.where(source > 0, source + out, radius + 1)
    behind = torch.where(source < size - 1, 2 * (size - 1) - source - out, radius + 1)
    distances = torch.arange(radius + 1, device=device)[:, None, None]
    seen = torch.stack([(d == distances).to(dtype) for d in ((source - out).abs(), before, behind)]).sum(0)
    return seen.flatten(1)


_cached_reached = lru_cache(maxsize=8)(_reached)
