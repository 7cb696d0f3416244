"""Colour operations on a batch, each sample with its own factor, as torchvision's functional ones do them.

Shapes: images (N, 3, H, W) in [0, 1], factors (N,).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .bounds import cut
from .selection import per_sample

_LUMA = (0.2989, 0.587, 0.114)
"""ITU-R BT.601, rounded as torchvision has it."""

_SMALLEST_CHROMA = 1e-8
"""Below this much colour (max - min) a pixel counts as grey: its hue is noise, and nothing divides by it. Ours."""


def luminance(images: Tensor) -> Tensor:
    """(N, 1, H, W), the grey value of each pixel."""
    red, green, blue = images.split(1, dim=1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def grayscale(images: Tensor) -> Tensor:
    """The images without colour, (N, 3, H, W)."""
    return luminance(images).expand_as(images)


def blend(images: Tensor, factors: Tensor, to_pixel: Tensor, to_mean: Tensor) -> Tensor:
    """`clamp(factors * images + to_pixel * luminance + to_mean * mean(luminance), 0, 1)`.

    Brightness, contrast and saturation are the blends of an image with black, its mean grey and its own grey version:
    with factor f their weights are (f, 0, 0), (f, 0, 1 - f) and (f, 1 - f, 0). Written as one, samples at different
    places in their order of operations share a pass.
    """
    gray = luminance(images)
    mean = gray.mean((1, 2, 3)) * to_mean
    offset = torch.addcmul(per_sample(mean), gray, per_sample(to_pixel))
    return cut(torch.addcmul(offset, images, per_sample(factors)))


def shift_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Turn the hue of the HSV model by `shifts` (N,), in turns.

    Value and saturation of a pixel fix its largest and smallest channel, and the hue says where between the two each
    channel lies. The gradient is finite everywhere: a grey pixel's is that of leaving its colour alone. Where green
    equals blue it is the mean of those to both sides.
    """
    red, green, blue = images.split(1, dim=1)
    high = torch.maximum(red, green).maximum(blue)
    low = torch.minimum(red, green).minimum(blue)
    chroma = high - low
    # Hue in sixths of a turn, 0 to 3 from red to cyan, negative on the side of blue. With r, g, b the channels scaled
    # to the range from low to high, it is 1 + g + b - r on all the three sectors of a side, so nothing is branched on.
    divisor = chroma.clamp(min=_SMALLEST_CHROMA)
    hue = (green + blue).sub_(red).sub_(low).div_(divisor).add_(1).copysign_(green - blue)
    if images.requires_grad:
        hue = hue + _across(red, green, blue, divisor)
    hue = hue + per_sample(6 * shifts)
    hue = torch.sub(hue, torch.floor(hue / 6), alpha=6)
    peaks = ((hue - 3).abs_().sub_(1), (hue - 2).abs_().neg_().add_(2), (hue - 4).abs_().neg_().add_(2))
    return torch.cat([torch.addcmul(low, chroma, peak.clamp_(0, 1)) for peak in peaks], dim=1)


def _across(red: Tensor, green: Tensor, blue: Tensor, chroma: Tensor) -> Tensor:
    """Zero, with the gradient of the hue where green equals blue, at red or at cyan.

    There the two sides meet, and each alone has a kink: the means of its slopes are 0, but the hue passes smoothly.
    """
    with torch.no_grad():
        slope = (red - green).sign_().div_(chroma).mul_(green == blue)
    return slope * (green - blue)


def solarize(images: Tensor, threshold: float) -> Tensor:
    """Invert the values at or above the threshold."""
    return torch.where(images >= threshold, 1 - images, images)
