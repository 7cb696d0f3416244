"""Presets of the GAN: how wide its networks are at each resolution, how deep, and what they are trained with.
Importable without torch.

A network runs over resolutions base, 2 base, ..., image size, with 4 <= base <= 7: powers of two from 8 up, and sizes
such as 12, 20, 28, 48 or 96. The widths, all ours, grow towards low resolution, where a channel is cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RESIDUAL, PLAIN = ARCHITECTURES = ("residual", "plain")
"""Of a generator: residual blocks with bilinear resampling between them, or transposed convolutions alone."""

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 8, 128
_BASES = range(4, 8)


@dataclass(frozen=True)
class Training:
    """What a GAN is trained with: the keyword arguments of `GANTrainer` that a preset chooses.

    The values here are those of a trainer that is made without a preset. All are ours unless a source is named.

    Attributes:
        generator_learning_rate, discriminator_learning_rate: Adam's, each above 0; None goes by the network's width.
        gamma: weight of each gradient penalty, at least 0.
        final_gamma: what gamma comes to at the end of pretraining, by an equal factor each step; None: it stays.
        beta1, beta2: Adam's, in [0, 1).
        final_beta2: what beta2 comes to at the end, 1 - beta2 by an equal factor each step; None: it stays.
        decay: the last part of pretraining, in [0, 1], over which learning rates fall to 0 along a half cosine.
        penalty_every: steps from one with penalties to the next.
        ema_decay: of G's moving average, a step, in [0, 1).
        augment: DiffAugment's parts, of colour, translation and cutout, or "none".
    """

    generator_learning_rate: float | None = None
    discriminator_learning_rate: float | None = None
    gamma: float = 0.2
    final_gamma: float | None = None
    beta1: float = 0.0
    beta2: float = 0.99
    final_beta2: float | None = None
    decay: float = 0.0
    penalty_every: int = 1
    ema_decay: float = 0.999
    augment: str = "translation,cutout"


@dataclass(frozen=True)
class NetworkSize:
    """Width at a resolution is `area / resolution`, held within [narrowest, widest].

    Attributes:
        area, narrowest, widest: in channels times pixels, and in channels.
        blocks: residual blocks at each resolution but the image's.
        blocks_at_image_size: there, where a block costs most; None: as many.
    """

    area: int
    narrowest: int
    widest: int
    blocks: int
    blocks_at_image_size: int | None = None

    def widths(self, sides: list[int]) -> list[int]:
        """Channels at each of these resolutions."""
        return [min(max(self.area // side, self.narrowest), self.widest) for side in sides]

    def shape(self, image_size: int) -> dict[str, Any]:
        """The keyword arguments of a residual network for images of `image_size` pixels."""
        sides = resolutions(image_size)
        blocks: int | list[int] = self.blocks
        if self.blocks_at_image_size is not None:
            blocks = [self.blocks] * (len(sides) - 1) + [self.blocks_at_image_size]
        return {"image_size": image_size, "widths": self.widths(sides), "blocks_per_stage": blocks}


@dataclass(frozen=True)
class Preset:
    """The size of both networks, and what they are trained with.

    Attributes:
        size: of the generator, and of the discriminator if it has none of its own.
        training: rates, penalties and the rest. Those of `plain` and `tiny` were measured on CIFAR-10 at 16 pixels,
            `plain` with one to three seeds and `tiny` with one, and gamma of `plain` at 32 too
            (benchmarks/gan/choosing.md). Those of the others
            are 0.064 over `widest` (see `default_learning_rate`) and unmeasured. `penalty_every`: one step in four
            brought `tiny` further in equal time: on digits at 8 pixels to a Frechet distance of 40 and 44 against 54
            and 62 (two seeds, features of a small classifier, 30 s on one core). `small` has it for the same saving,
            unmeasured; the larger two keep R3GAN's every step.
        architecture: of the generator, as `GANGenerator` has it.
        discriminator_size: None: `size`.
    """

    size: NetworkSize
    training: Training
    architecture: str = RESIDUAL
    discriminator_size: NetworkSize | None = None

    def generator_shape(self, image_size: int) -> dict[str, Any]:
        """The keyword arguments of `GANGenerator` for images of `image_size` pixels."""
        if self.architecture == RESIDUAL:
            return self.size.shape(image_size)
        widths = self.size.widths(resolutions(image_size)[:-1])
        return {"image_size": image_size, "widths": widths, "blocks_per_stage": 0, "architecture": self.architecture}

    def discriminator_shape(self, image_size: int) -> dict[str, Any]:
        """The keyword arguments of `GANDiscriminator`, likewise."""
        return (self.discriminator_size or self.size).shape(image_size)


PRESETS = {
    "plain": Preset(
        size=NetworkSize(area=192, narrowest=8, widest=48, blocks=0),
        architecture=PLAIN,
        discriminator_size=NetworkSize(area=176, narrowest=8, widest=44, blocks=1, blocks_at_image_size=0),
        training=Training(
            generator_learning_rate=1e-3,
            discriminator_learning_rate=1e-3,
            gamma=0.05,
            penalty_every=4,
            augment="none",
        ),
    ),
    "tiny": Preset(
        size=NetworkSize(area=256, narrowest=16, widest=32, blocks=1),
        training=Training(
            generator_learning_rate=5e-4,
            discriminator_learning_rate=5e-4,
            gamma=0.02,
            penalty_every=4,
            augment="none",
        ),
    ),
    "small": Preset(
        size=NetworkSize(area=1024, narrowest=24, widest=96, blocks=1),
        training=Training(generator_learning_rate=2e-3 / 3, discriminator_learning_rate=2e-3 / 3, penalty_every=4),
    ),
    "base": Preset(
        size=NetworkSize(area=4096, narrowest=64, widest=256, blocks=2),
        training=Training(generator_learning_rate=2.5e-4, discriminator_learning_rate=2.5e-4),
    ),
    "large": Preset(
        size=NetworkSize(area=8192, narrowest=96, widest=512, blocks=2),
        training=Training(generator_learning_rate=1.25e-4, discriminator_learning_rate=1.25e-4),
    ),
}


def resolutions(image_size: int) -> list[int]:
    """Sides in pixels from the base to `image_size`, each twice the one before.

    Raises:
        ValueError: a size outside 8 to 128, or one that is no base of 4 to 7 times a power of two.
    """
    base = image_size
    while base % 2 == 0 and base > max(_BASES):
        base //= 2
    if not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE or base not in _BASES:
        raise ValueError(
            f"a GAN's image size must be 4, 5, 6 or 7 times a power of two, from {MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}, "
            f"not {image_size}: try 8, 16, 28, 32, 48, 64, 96 or 128"
        )
    sides = [base]
    while sides[-1] < image_size:
        sides.append(2 * sides[-1])
    return sides


def preset_name(image_size: int, name: str = "auto", *, on_cpu: bool = True) -> str:
    """The name of a preset; "auto" (ours) is `plain` up to 16 pixels, and on a CPU at any size, which trains on 4
    images a second of `base` at 32 pixels and on 1,100 of `plain` (benchmarks/gan); it is `base` otherwise.

    Raises:
        ValueError: an unknown name, with the choices.
    """
    if name == "auto":
        return "plain" if image_size <= 16 or on_cpu else "base"
    if name not in PRESETS:
        raise ValueError(f"unknown GAN preset {name!r}: choose from auto, {', '.join(PRESETS)}")
    return name


def choose_preset(image_size: int, name: str = "auto", *, on_cpu: bool = True) -> Preset:
    """The preset of that name; see `preset_name`."""
    return PRESETS[preset_name(image_size, name, on_cpu=on_cpu)]


def opponent_shape(generator: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a `GANDiscriminator` that is about as large as a generator of this shape.

    It is the generator's mirror image. A plain one's opponent has half as many channels at the image's resolution as
    that generator at half of it, and a block at each resolution but the image's, as in the preset `plain`.
    """
    widths, blocks = list(generator["widths"]), generator["blocks_per_stage"]
    if generator["architecture"] == PLAIN:
        widths, blocks = [*widths, max(1, widths[-1] // 2)], [1] * len(widths) + [0]
    return {"image_size": generator["image_size"], "widths": widths, "blocks_per_stage": blocks}


def default_learning_rate(widths: Sequence[int]) -> float:
    """0.064 / greatest width: 2e-3 at 32 channels, the better of 1e-3 and 2e-3 on 8-pixel digits (ours; one seed).

    Adam's rate falls as 1 / width, as for hidden layers in arXiv 2203.03466, table 3.
    """
    return 0.064 / max(widths)
