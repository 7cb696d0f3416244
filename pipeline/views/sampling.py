"""The parameters of each view, drawn from its own random numbers.

Each distribution is that of torchvision's transform of the same name. All the numbers of a view come from one draw (one
name), since a draw costs the same for forty numbers as for one; `_COLUMNS` says which is which. It may only grow at its
end: the numbers of a draw do not depend on how many follow.

Shapes: N views.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from ..randomness import Draws
from .presets import AugmentationParameters

STREAM = "view"
"""The name that all numbers of a view are drawn under."""

_CROP_TRIES = 10
_COLUMNS = {
    "left": 1, "top": 1, "flip": 1, "jitter": 1, "factors": 3, "hue": 1, "order": 4, "grayscale": 1, "blur": 1,
    "sigma": 1, "solarize": 1, "area": _CROP_TRIES, "ratio": _CROP_TRIES,
}  # fmt: skip

Self = TypeVar("Self", bound="PerView")


@dataclass(frozen=True)
class PerView:
    """Parameters of N views: each field has N entries, or is None for what is off."""

    def __getitem__(self: Self, index: Tensor) -> Self:
        """The parameters of some of the views."""
        values = (getattr(self, field.name) for field in fields(self))
        return type(self)(*(None if value is None else value[index] for value in values))


@dataclass(frozen=True)
class Crop(PerView):
    """The part of the image that a view shows: (N,) float with whole values, in pixels."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


@dataclass(frozen=True)
class Jitter(PerView):
    """The colour jitter of each view: three blends in the view's own order, and the hue before, between or after them.

    Attributes:
        selected: (N,) bool.
        blends: (N, 3, 3) the weights of `color.blend` for the first, second and third blend.
        hue: (N,) shift in turns; None where it is always 0.
        hue_slot: (N,) int64, how many blends come before the hue, 0 to 3; None without hue.
    """

    selected: Tensor
    blends: Tensor
    hue: Tensor | None
    hue_slot: Tensor | None

    @property
    def group(self) -> Tensor:
        """(N,) int64: views of the same number have the same order of hue and blends; -1 without jitter."""
        return torch.where(self.selected, 0 if self.hue_slot is None else self.hue_slot, -1)


@dataclass(frozen=True)
class ViewParameters(PerView):
    """All that happens to each view. `flip`, `grayscale`, `blur`, `solarize`: (N,) bool; `sigma`: (N,) pixels."""

    crop: Crop | None
    flip: Tensor | None
    jitter: Jitter | None
    grayscale: Tensor | None
    blur: Tensor | None
    sigma: Tensor | None
    solarize: Tensor | None


def sample_views(
    draws: Draws, parameters: AugmentationParameters, height: int, width: int, views: Tensor | int = 0
) -> ViewParameters:
    """The parameters of N views of images of `height` by `width` pixels.

    Args:
        draws: N draws.
        parameters: the ranges and probabilities.
        height: pixels of the image.
        width: pixels of the image.
        views: which view of its image each one is, (N,) int64 or the same for all.
    """
    p, u = parameters, _uniforms(draws)
    blurs = any(p.blur)
    return ViewParameters(
        crop=sample_crop(u, p.crop_scale, p.crop_ratio, height, width) if p.crop_scale else None,
        flip=u["flip"] < p.flip if p.flip else None,
        jitter=sample_jitter(u, p) if p.jitter else None,
        grayscale=u["grayscale"] < p.grayscale if p.grayscale else None,
        blur=_chosen(u["blur"], p.blur, views) if blurs else None,
        sigma=_between(*p.blur_sigma, u["sigma"]) if blurs else None,
        solarize=_chosen(u["solarize"], p.solarize, views) if any(p.solarize) else None,
    )


def _uniforms(draws: Draws) -> dict[str, Tensor]:
    """(N,) float32 in [0, 1) by name, or (N, columns) where there are several."""
    parts = draws.uniform(STREAM, sum(_COLUMNS.values())).split(list(_COLUMNS.values()), dim=1)
    return {name: part[:, 0] if part.shape[1] == 1 else part for name, part in zip(_COLUMNS, parts, strict=True)}


def sample_crop(
    u: dict[str, Tensor], scale: tuple[float, float], ratio: tuple[float, float], height: int, width: int
) -> Crop:
    """The crop of `RandomResizedCrop` (Szegedy et al. 2014, arXiv 1409.4842, section 6).

    The first of ten pairs of area and aspect ratio whose crop fits into the image; if none does, the largest centred
    crop within the range of ratios.

    Args:
        u: numbers in [0, 1): `area` and `ratio` (N, 10), `top` and `left` (N,).
        scale: range of the area, as a part of the image's.
        ratio: range of width over height, uniform in its logarithm.
        height: pixels of the image.
        width: pixels of the image.
    """
    # In float64, so that the last bit of a device's exp or sqrt does not decide how many pixels a crop has.
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u["area"].double())
    aspect = torch.exp(math.log(ratio[0]) + (math.log(ratio[1]) - math.log(ratio[0])) * u["ratio"].double())
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    found = fits.gather(1, first)[:, 0]
    whole_height, whole_width = _central_crop(ratio, height, width)
    h = torch.where(found, heights.gather(1, first)[:, 0], whole_height)
    w = torch.where(found, widths.gather(1, first)[:, 0], whole_width)
    top = torch.where(found, (u["top"] * (height - h + 1)).floor(), (height - whole_height) // 2)
    left = torch.where(found, (u["left"] * (width - w + 1)).floor(), (width - whole_width) // 2)
    return Crop(top.float(), left.float(), h.float(), w.float())


def _central_crop(ratio: tuple[float, float], height: int, width: int) -> tuple[int, int]:
    if width / height < ratio[0]:
        return round(width / ratio[0]), width
    if width / height > ratio[1]:
        return height, round(height * ratio[1])
    return height, width


def sample_jitter(u: dict[str, Tensor], parameters: AugmentationParameters) -> Jitter:
    """The factors and the order of `ColorJitter`; all orders are equally probable.

    Args:
        u: numbers in [0, 1): `jitter` and `hue` (N,), `factors` (N, 3), `order` (N, 4): the operations go by the size
            of these, brightness, contrast, saturation and hue.
        parameters: the strengths and the probability.
    """
    factors = torch.stack(
        [
            _between(max(0.0, 1 - strength), 1 + strength, u["factors"][:, i])
            for i, strength in enumerate((parameters.brightness, parameters.contrast, parameters.saturation))
        ],
        dim=1,
    )
    order = u["order"][:, :3].argsort(dim=1, stable=True)  # (N, 3): which blend comes first, second, third
    factors = factors.gather(1, order)
    blends = torch.stack((factors, (order == 2) * (1 - factors), (order == 1) * (1 - factors)), dim=2)
    return Jitter(
        selected=u["jitter"] < parameters.jitter,
        blends=blends,
        hue=_between(-parameters.hue, parameters.hue, u["hue"]) if parameters.hue else None,
        hue_slot=(u["order"][:, :3] < u["order"][:, 3:]).sum(1) if parameters.hue else None,
    )


def _between(low: float, high: float, u: Tensor) -> Tensor:
    return low + (high - low) * u


def _chosen(u: Tensor, probabilities: tuple[float, ...], views: Tensor | int) -> Tensor:
    """(N,) bool: chosen with the probability that the sample's view has."""
    number = views % len(probabilities)
    chosen = torch.zeros_like(u, dtype=torch.bool)
    for view, probability in enumerate(probabilities):
        chosen = chosen | ((u < probability) & (number == view))
    return chosen
