"""Sizes of the GAN's networks: how wide at each resolution, and how deep. Importable without torch.

A network runs over resolutions base, 2 base, ..., image size, with 4 <= base <= 7: powers of two from 8 up, and sizes
such as 12, 20, 28, 48 or 96. The widths, all ours, grow towards low resolution, where a channel is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 8, 128
_BASES = range(4, 8)


@dataclass(frozen=True)
class Preset:
    """Width at a resolution is `area / resolution`, held within [narrowest, widest].

    `penalty_every` is the trainer's. One step in four brought `tiny` further in equal time: on digits at 8 pixels to a
    Frechet distance of 40 and 44 against 54 and 62 (two seeds, features of a small classifier, 30 s on one core).
    `small` has it for the same saving, unmeasured; the larger two keep R3GAN's every step.
    """

    area: int
    narrowest: int
    widest: int
    blocks_per_stage: int
    penalty_every: int = 1

    def widths(self, image_size: int) -> list[int]:
        """Channels at each resolution, from the base up to `image_size`."""
        return [min(max(self.area // side, self.narrowest), self.widest) for side in resolutions(image_size)]


PRESETS = {
    "tiny": Preset(area=256, narrowest=16, widest=32, blocks_per_stage=1, penalty_every=4),
    "small": Preset(area=1024, narrowest=24, widest=96, blocks_per_stage=1, penalty_every=4),
    "base": Preset(area=4096, narrowest=64, widest=256, blocks_per_stage=2),
    "large": Preset(area=8192, narrowest=96, widest=512, blocks_per_stage=2),
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
