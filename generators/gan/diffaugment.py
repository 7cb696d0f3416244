"""DiffAugment (Zhao et al. 2020, arXiv 2006.10738): what the discriminator sees of real and fake images alike.

Colour, then translation, then cutout, differentiable, each image with its own parameters. One uniform vector an image
holds them all, so a caller draws once; the strengths are those of the authors' public code.

Shapes: N images, S pixels a side; images (N, 3, S, S) in [-1, 1] (colour may leave that range, as in the original).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import OptionError

NUM_PARAMETERS = 7
"""Uniform numbers in [0, 1) that an image takes: brightness, saturation, contrast, shift (2), cutout (2)."""

TRANSLATION_RATIO = 1 / 8
CUTOUT_RATIO = 1 / 2


def colour(images: Tensor, uniform: Tensor) -> Tensor:
    """Brightness by -0.5 to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5; `uniform` (N, 3)."""
    brightness, saturation, contrast = (u[:, None, None, None] for u in uniform.unbind(1))
    images = images + (brightness - 0.5)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translation(images: Tensor, uniform: Tensor) -> Tensor:
    """Shift by whole pixels, up to an eighth of the side, filled with 0 (gray); `uniform` (N, 2)."""
    size = images.shape[-1]
    reach = int(size * TRANSLATION_RATIO + 0.5)
    shifts = (uniform * (2 * reach + 1)).long() - reach  # (N, 2) in [-reach, reach]
    source = (
        torch.arange(size, device=images.device) + shifts[..., None]
    )  # (N, 2, S), where each row and column is from
    inside = ((source >= 0) & (source < size)).to(images.dtype)
    source = source.clamp(0, size - 1)
    rows, columns = source[:, 0, None, :, None], source[:, 1, None, None, :]
    images = images.gather(2, rows.expand_as(images)).gather(3, columns.expand_as(images))
    return images * (inside[:, 0, None, :, None] * inside[:, 1, None, None, :])


def cutout(images: Tensor, uniform: Tensor) -> Tensor:
    """A square of half the side, set to 0 (gray), centred on any pixel and cut at the border; `uniform` (N, 2)."""
    size = images.shape[-1]
    width = int(size * CUTOUT_RATIO + 0.5)
    start = (uniform * (size + 1 - width % 2)).long() - width // 2  # (N, 2)
    distance = torch.arange(size, device=images.device) - start[..., None]  # (N, 2, S)
    hit = (distance >= 0) & (distance < width)
    return images * ~(hit[:, 0, None, :, None] & hit[:, 1, None, None, :])


POLICIES = {"colour": (colour, slice(0, 3)), "translation": (translation, slice(3, 5)), "cutout": (cutout, slice(5, 7))}


def check_policy(policy: str) -> tuple[str, ...]:
    """The parts of a policy such as "colour,translation,cutout"; "" or "none" is no augmentation.

    Raises:
        OptionError: a part that is not known, with the choices.
    """
    parts = () if policy in ("", "none") else tuple(part.strip() for part in policy.split(","))
    if unknown := [part for part in parts if part not in POLICIES]:
        raise OptionError(f"unknown augmentation {unknown[0]!r}: choose from none, {', '.join(POLICIES)}")
    return parts


def diffaugment(images: Tensor, uniform: Tensor, parts: tuple[str, ...] = tuple(POLICIES)) -> Tensor:
    """Augment images (N, 3, S, S) by `parts`, in the order given; `uniform` (N, 7) in [0, 1)."""
    for part in parts:
        function, columns = POLICIES[part]
        images = function(images, uniform[:, columns])
    return images
