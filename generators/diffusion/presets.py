"""Sizes of the diffusion network: how wide at each resolution, how deep, where it attends. Importable without torch.

The U-Net runs over resolutions S, S / 2, ... for as long as they are even and above 7: 32 pixels give 32, 16, 8, 4.
`base` at 32 pixels is the network of DDPM for CIFAR-10 (Ho et al. 2020, arXiv 2006.11239, appendix B): channels 128,
256, 256, 256, two residual blocks a level, attention at 16 pixels, 35.7M parameters. The other presets are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 8, 128
_SMALLEST_TO_HALVE = 8


@dataclass(frozen=True)
class Preset:
    """The first level is `narrow` wide and every other `wide`."""

    narrow: int
    wide: int
    layers_per_block: int
    attention_size: int
    """The resolution, in pixels, at which the levels attend; the middle, at the lowest, always does."""
    learning_rate: float
    """AdamW's: DDPM's for its network, and larger for smaller ones (ours)."""
    head_size: int = 64
    groups: int = 32


PRESETS = {
    "tiny": Preset(
        narrow=32, wide=64, layers_per_block=1, attention_size=0, learning_rate=5e-4, head_size=32, groups=8
    ),
    "small": Preset(narrow=64, wide=128, layers_per_block=2, attention_size=16, learning_rate=3e-4),
    "base": Preset(narrow=128, wide=256, layers_per_block=2, attention_size=16, learning_rate=2e-4),
}


def resolutions(image_size: int) -> list[int]:
    """Sides in pixels from `image_size` down, each half the one before.

    Raises:
        ValueError: an odd size, or one outside 8 to 128.
    """
    if image_size % 2 or not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE:
        raise ValueError(
            f"a diffusion generator's image size must be even, from {MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}, "
            f"not {image_size}: try 8, 16, 32 or 64"
        )
    sides = [image_size]
    while sides[-1] % 2 == 0 and sides[-1] >= _SMALLEST_TO_HALVE:
        sides.append(sides[-1] // 2)
    return sides


def preset_name(image_size: int, name: str = "auto", *, on_cpu: bool = True) -> str:
    """The name of a preset; "auto" (ours) is `tiny` up to 16 pixels, and on a CPU at any size; it is `base` otherwise.

    Raises:
        ValueError: an unknown name, with the choices.
    """
    if name == "auto":
        return "tiny" if image_size <= 16 or on_cpu else "base"
    if name not in PRESETS:
        raise ValueError(f"unknown diffusion preset {name!r}: choose from auto, {', '.join(PRESETS)}")
    return name


def choose_preset(image_size: int, name: str = "auto", *, on_cpu: bool = True) -> Preset:
    """The preset of that name; see `preset_name`."""
    return PRESETS[preset_name(image_size, name, on_cpu=on_cpu)]


def unet_config(image_size: int, preset: str = "auto") -> dict[str, Any]:
    """The keyword arguments of diffusers' `UNet2DModel` for a preset at an image size."""
    chosen, sides = choose_preset(image_size, preset), resolutions(image_size)
    attends = [side == chosen.attention_size for side in sides]
    return {
        "sample_size": image_size,
        "block_out_channels": (chosen.narrow, *[chosen.wide] * (len(sides) - 1)),
        "layers_per_block": chosen.layers_per_block,
        "down_block_types": tuple("AttnDownBlock2D" if here else "DownBlock2D" for here in attends),
        "up_block_types": tuple("AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(attends)),
        "attention_head_dim": chosen.head_size,
        "norm_num_groups": chosen.groups,
    }
