"""Presets of the GAN: how wide its networks are at each resolution, how deep, and what they are trained with.
Importable without torch.

A network runs over resolutions base, 2 base, ..., image size, with 4 <= base <= 7: powers of two from 8 up, and sizes
such as 12, 20, 28, 48 or 96. The widths, all ours, grow towards low resolution, where a channel is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
class Preset:
    """Width at a resolution is `area / resolution`, held within [narrowest, widest].

    Attributes:
        area, narrowest, widest, blocks_per_stage: of both networks.
        training: what they are trained with. Rates, gamma and augmentation of `tiny` were measured on CIFAR-10 at 16
            pixels, one seed (benchmarks/gan/README.md). Those of the others are 0.064 over `widest` (see
            `default_learning_rate`) and unmeasured. `penalty_every`: one step in four brought `tiny` further in equal
            time: on digits at 8 pixels to a Frechet distance of 40 and 44 against 54 and 62 (two seeds, features of a
            small classifier, 30 s on one core). `small` has it for the same saving, unmeasured; the larger two keep
            R3GAN's every step.
        discriminator_preset: the preset that the discriminator has its size from; None: this one.
    """

    area: int
    narrowest: int
    widest: int
    blocks_per_stage: int
    training: Training
    discriminator_preset: str | None = None

    def widths(self, image_size: int) -> list[int]:
        """Channels at each resolution, from the base up to `image_size`."""
        return [min(max(self.area // side, self.narrowest), self.widest) for side in resolutions(image_size)]

    def shape(self, image_size: int) -> dict[str, Any]:
        """The keyword arguments of a network for images of `image_size` pixels."""
        return {
            "image_size": image_size,
            "widths": self.widths(image_size),
            "blocks_per_stage": self.blocks_per_stage,
        }


PRESETS = {
    "tiny": Preset(
        area=256,
        narrowest=16,
        widest=32,
        blocks_per_stage=1,
        training=Training(
            generator_learning_rate=5e-4,
            discriminator_learning_rate=5e-4,
            gamma=0.02,
            penalty_every=4,
            augment="none",
        ),
    ),
    "small": Preset(
        area=1024,
        narrowest=24,
        widest=96,
        blocks_per_stage=1,
        training=Training(generator_learning_rate=2e-3 / 3, discriminator_learning_rate=2e-3 / 3, penalty_every=4),
    ),
    "base": Preset(
        area=4096,
        narrowest=64,
        widest=256,
        blocks_per_stage=2,
        training=Training(generator_learning_rate=2.5e-4, discriminator_learning_rate=2.5e-4),
    ),
    "large": Preset(
        area=8192,
        narrowest=96,
        widest=512,
        blocks_per_stage=2,
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


def choose_preset(image_size: int, name: str = "auto") -> Preset:
    """The preset called `name`; "auto" (ours) is `tiny` up to 16 pixels, which suits a CPU, and `base` above.

    Raises:
        ValueError: an unknown name, with the choices.
    """
    if name == "auto":
        name = "tiny" if image_size <= 16 else "base"
    if name not in PRESETS:
        raise ValueError(f"unknown GAN preset {name!r}: choose from auto, {', '.join(PRESETS)}")
    return PRESETS[name]
