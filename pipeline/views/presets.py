"""The parameters of an augmentation, and the published recipes by name. Imports no torch.

The ranges are those of torchvision's transforms: a jitter strength b means a factor uniform in [max(0, 1 - b), 1 + b],
a hue h a shift uniform in [-h, h] turns. What a preset does not name is off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..data.specs import parse_spec
from ..errors import UsageError

Probabilities = tuple[float, ...]

SMALL_IMAGE = 64
"""Up to this many pixels a side the recipes for CIFAR are the default ones. Ours."""


@dataclass(frozen=True, kw_only=True)
class AugmentationParameters:
    """What happens to a view, in this order: crop, flip, jitter, grayscale, blur, solarize.

    `blur` and `solarize` have one probability for each view of an image; view v takes number v modulo their count.
    """

    crop_scale: tuple[float, float] | None = None
    """Range of the crop's part of the image's area, in (0, 1]; without it the whole image is resized."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Range of the crop's width over its height, drawn uniformly in its logarithm."""
    flip: float = 0.0
    """Probability of a horizontal flip."""
    jitter: float = 0.0
    """Probability of the colour jitter: brightness, contrast, saturation and hue in random order."""
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grayscale: float = 0.0
    """Probability of grayscale."""
    blur: Probabilities = (0.0,)
    """Probability of the Gaussian blur, for each view."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Range of the blur's standard deviation, in pixels of the view."""
    blur_kernel: float | None = None
    """Side of the blur's kernel as a part of the view's side; None for as wide as the largest sigma needs."""
    solarize: Probabilities = (0.0,)
    """Probability of inverting the values above the threshold, for each view."""
    solarize_threshold: float = 0.5
    local_scale: tuple[float, float] = (0.05, 0.4)
    """`crop_scale` of the local views of multi-crop; by default DINO's (arXiv 2104.14294, section 3.2, and code)."""

    def __post_init__(self) -> None:
        for name in ("flip", "jitter", "grayscale", "blur", "solarize"):
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            _require(bool(values) and all(0 <= p <= 1 for p in values), name, value, "probabilities, 0 to 1")
        for name in ("brightness", "contrast", "saturation"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "a strength of 0 or more")
        _require(0 <= self.hue <= 0.5, "hue", self.hue, "0 to 0.5 turns")
        for name in ("crop_scale", "local_scale"):
            scale = getattr(self, name) or (1.0, 1.0)
            _require(0 < scale[0] <= scale[1] <= 1, name, scale, "an ascending range within 0 to 1")
        for name in ("crop_ratio", "blur_sigma"):
            value = getattr(self, name)
            _require(0 < value[0] <= value[1], name, value, "an ascending range above 0")
        _require(self.blur_kernel is None or 0 < self.blur_kernel <= 1, "blur_kernel", self.blur_kernel, "0 to 1")


def _require(condition: bool, name: str, value: Any, expected: str) -> None:
    if not condition:
        raise UsageError(f"augmentation parameter {name} is {value}; it must be {expected}")


PRESETS: dict[str, AugmentationParameters] = {
    # Chen et al. 2020, arXiv 2002.05709, appendix A: distortion of strength 1, blur of kernel 10% of the image.
    "simclr": AugmentationParameters(
        crop_scale=(0.08, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        grayscale=0.2,
        blur=(0.5,),
        blur_kernel=0.1,
    ),
    # The same, appendix B.9 (CIFAR-10): distortion of strength 0.5, no blur.
    "simclr-cifar": AugmentationParameters(
        crop_scale=(0.08, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grayscale=0.2,
    ),
    # Chen et al. 2020, arXiv 2003.04297, and its published code.
    "mocov2": AugmentationParameters(
        crop_scale=(0.2, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grayscale=0.2,
        blur=(0.5,),
    ),
    # The same without blur, as the MoCo authors' CIFAR-10 notebook has it; its crop starts at 0.08 (torchvision's
    # default), ours at MoCo's own 0.2.
    "mocov2-cifar": AugmentationParameters(
        crop_scale=(0.2, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grayscale=0.2,
    ),
    # Grill et al. 2020, arXiv 2006.07733, appendix B, table 6: the two views differ in blur and solarization.
    "byol": AugmentationParameters(
        crop_scale=(0.08, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        grayscale=0.2,
        blur=(1.0, 0.1),
        blur_kernel=0.1,
        solarize=(0.0, 0.2),
    ),
    # Caron et al. 2021, arXiv 2104.14294, section 3.2, and its published code: BYOL's, but for larger crops.
    "dino": AugmentationParameters(
        crop_scale=(0.4, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        grayscale=0.2,
        blur=(1.0, 0.1),
        solarize=(0.0, 0.2),
    ),
    # The same without blur, as lightly's CIFAR-10 benchmark has it.
    "dino-cifar": AugmentationParameters(
        crop_scale=(0.4, 1.0),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        grayscale=0.2,
        solarize=(0.0, 0.2),
    ),
    # Wang et al. 2024 (AdaInf), arXiv 2403.12448, for training sets with generated images: against their SimCLR recipe
    # for CIFAR (crop from 0.08, jitter .8/.8/.8/.2 at 0.8) half the strength, half as often. Their SimCLR scripts keep
    # the blur, their MoCo ones do not; left out here, so that it is weaker than both recipes for CIFAR above.
    "adainf": AugmentationParameters(
        crop_scale=(0.2, 1.0),
        flip=0.5,
        jitter=0.4,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grayscale=0.2,
    ),
    # Ours, for handwritten digits: a mirrored one is another sign, there is no colour, and a small crop shows nothing.
    "digits": AugmentationParameters(crop_scale=(0.4, 1.0), local_scale=(0.2, 0.4)),
    # No augmentation: resized to the view's size if need be. For evaluation and for tests.
    "none": AugmentationParameters(),
}


LOCAL_SIZE = 96 / 224
"""Side of a local view as a part of a global one's, of DINO (arXiv 2104.14294, section 3.2)."""
_LOCAL_STEP = 8
"""Sides of local views are multiples of this, so that they are 96 of 224 pixels and 16 of 32. Ours."""


LEAST_LOCAL_SIZE = 5
"""The fewest pixels a side of a local view: of 4, a residual net for small images leaves one position before its last
stage, where the convolution in bf16 of torch 2.14 on a CPU has gradients that are no numbers. Ours."""


def local_size(image_size: int) -> int:
    """Pixels a side of the local views of images of so many: the multiple of 8 that is nearest to DINO's part of the
    side, but no more than half of it, which is ours, for images of few pixels."""
    nearest = _LOCAL_STEP * max(1, round(image_size * LOCAL_SIZE / _LOCAL_STEP))
    return max(LEAST_LOCAL_SIZE, min(nearest, image_size // 2))


def local_parameters(parameters: AugmentationParameters) -> AugmentationParameters:
    """What happens to a local view, where that is what happens to the others: a smaller crop, the same colours, blur
    for half of them where there is any, and no solarization, as in DINO's published code."""
    blur = (0.5,) if any(parameters.blur) else (0.0,)
    return replace(parameters, crop_scale=parameters.local_scale, blur=blur, solarize=(0.0,))


def find_preset(name: str) -> AugmentationParameters:
    """The preset of this name.

    Raises:
        UsageError: there is none; the message lists the choices.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown views {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


WITH_BYOLS_VIEWS = ("byol", "mocov3", "barlow", "vicreg")
"""Learners that are published with BYOL's augmentations. MoCo v3's code begins its crops at 0.2 for a ResNet-50, where
these begin at 0.08, as its for vision transformers do, and as the published code of Barlow Twins and of VICReg does."""


def default_preset(learner: str, image_size: int, *, source: str = "") -> str:
    """The name of the preset that a learner is published with, for images of this size.

    Args:
        learner: its name; one without a recipe of its own gets MoCo v2's, as SimSiam does (arXiv 2011.10566).
        image_size: pixels a side.
        source: the SPEC of the images; `digits` has views of its own.
    """
    if source and parse_spec(source).location == "digits":
        return "digits"
    small = image_size <= SMALL_IMAGE
    if learner == "dino":
        return "dino-cifar" if small else "dino"
    if learner in ("simclr", "supcon"):
        return "simclr-cifar" if small else "simclr"
    if learner in WITH_BYOLS_VIEWS and not small:
        return "byol"
    return "mocov2-cifar" if small else "mocov2"
