"""A narrow residual generator and discriminator without normalisation layers, after R3GAN (arXiv 2501.05441).

Residual stages at doubling resolutions, leaky ReLU, resampling outside the residual blocks, and initialisation in place
of normalisation: no sample's activations depend on another's, in either network. Two deviations, ours: 3x3 - 3x3
blocks in place of grouped inverted bottlenecks (grouped convolutions are slow where the nets are narrow), and a dense
first and last layer in place of learned 4x4 bases.

The generator may be plain instead: DCGAN's 4x4 transposed convolutions of stride 2 (arXiv 1511.06434), without batch
normalisation; benchmarks/gan/README.md has how the two compare.

The stages may run under autocast; what meets latents, pixels and logits runs in fp32 whatever the caller is under.

Shapes: N samples, S pixels a side, B pixels a side at the base, C channels at a stage, L latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from ..base import Draws, Generator
from .presets import ARCHITECTURES, PLAIN, RESIDUAL, resolutions

_Model = TypeVar("_Model", bound="StrictModel")
_Layer = TypeVar("_Layer", nn.Conv2d, nn.Linear)

SLOPE = 0.2
"""The negative slope of the leaky ReLU, as in R3GAN's public configuration."""


def _msr(layer: _Layer, gain: float) -> _Layer:
    """Variance 1 / fan-in times gain squared (He et al. 2015, arXiv 1502.01852, eq. 10), bias 0."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(x)))) on (N, C, H, W), the identity at first.

    Fixup initialisation (Zhang et al. 2019, arXiv 1901.09321, section 3): with L blocks of m = 2 layers in the network,
    the first layer's weights are scaled by L ** (-1 / (2 m - 2)) and the last layer's are 0.
    """

    def __init__(self, channels: int, num_blocks: int) -> None:
        super().__init__()
        gain = math.sqrt(2 / (1 + SLOPE**2)) * num_blocks**-0.5
        self.conv1 = _msr(nn.Conv2d(channels, channels, 3, padding=1), gain)
        self.conv2 = _msr(nn.Conv2d(channels, channels, 3, padding=1), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(x, SLOPE))
        return x + self.conv2(F.leaky_relu(h, SLOPE))


class Resample(nn.Module):
    """To another resolution and width: bilinear up or 2x2 mean down, with a 1x1 convolution where the width changes.

    The convolution stands on the side with fewer pixels; both are linear, so the order changes the cost alone.
    """

    def __init__(self, channels_in: int, channels_out: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        same = channels_in == channels_out
        self.project = nn.Identity() if same else _msr(nn.Conv2d(channels_in, channels_out, 1), 1.0)

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            return F.interpolate(self.project(x), scale_factor=2, mode="bilinear", align_corners=False)
        return self.project(F.avg_pool2d(x, 2))


def _stages(widths: Sequence[int], blocks: Sequence[int], *, up: bool) -> nn.Sequential:
    """So many residual blocks at each of `widths`, with resampling between them.

    On the way down, where a resolution has no block, there is an activation: a mean over 2x2 pixels of what is linear
    in them does not see a checkerboard, and a generator that can draw one learns to.
    """
    layers: list[nn.Module] = []
    for i, (channels, count) in enumerate(zip(widths, blocks, strict=True)):
        if i:
            if not up and not blocks[i - 1]:
                layers.append(nn.LeakyReLU(SLOPE))
            layers.append(Resample(widths[i - 1], channels, up=up))
        layers.extend(ResidualBlock(channels, sum(blocks)) for _ in range(count))
    return nn.Sequential(*layers)


class Upsample(nn.Module):
    """conv(act(x)), to twice the resolution: a 4x4 transposed convolution of stride 2, as DCGAN's generator has.

    Torch's own initialisation, uniform in 1 / sqrt(fan-in), with which it was measured.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.leaky_relu(x, SLOPE))


def _full_precision(like: Tensor) -> torch.autocast:
    return torch.autocast(like.device.type, enabled=False)


def _check_stages(
    image_size: int, widths: Sequence[int], blocks: int | Sequence[int], architecture: str = RESIDUAL
) -> tuple[int, list[int]]:
    """The side at the base, and the blocks at each resolution that has any, when there is one number of each."""
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture must be {' or '.join(ARCHITECTURES)}, not {architecture!r}")
    # The last convolution of a plain generator makes pixels: there is no width at their resolution.
    sides = resolutions(image_size)[: -1 if architecture == PLAIN else None]
    counts = [blocks] * len(sides) if isinstance(blocks, int) else list(blocks)
    if architecture == PLAIN and any(counts):
        raise ValueError(f"a plain generator has no residual blocks: blocks_per_stage must be 0, not {blocks}")
    for name, given in (("widths", widths), ("numbers of blocks", counts)):
        if len(given) != len(sides):
            raise ValueError(
                f"{image_size} pixels take {len(sides)} {name}, for resolutions {sides}, not {list(given)}"
            )
    return sides[0], counts


class StrictModel(ModelMixin):
    """A `ModelMixin` that loads all of its weights or none: diffusers draws missing ones at random, with a warning."""

    # For type checkers, to which nn.Module says of any attribute that it is a tensor or a module.
    config: Any
    device: torch.device

    @classmethod
    def from_pretrained(cls: type[_Model], directory: str | Path, **options: Any) -> _Model:
        """The network that `save_pretrained` wrote.

        Raises:
            ValueError: a configuration that the class does not take, or weights that are not the configuration's.
            OSError: a folder without configuration or weights, or damaged weights.
        """
        model, found = super().from_pretrained(str(directory), output_loading_info=True, **options)
        if wrong := [*found["missing_keys"], *found["unexpected_keys"]]:
            raise ValueError(
                f"the weights in {str(directory)!r} are not those of its config.json: {len(wrong)} of them are missing "
                f"or in excess, {wrong[0]} first"
            )
        return model


# StrictModel stands first, to meet the contract's abstract save_pretrained and from_pretrained; ConfigMixin stands
# last, as its __getattr__ must not hide nn.Module's.
class GANGenerator(StrictModel, Generator, ConfigMixin):
    """Latents (N, L), standard normal, to images (N, 3, S, S).

    The output is a tanh: smooth, so that the gradient that joint training sends back never stops at a limit, as it
    would behind a clamp. (R3GAN's output is linear and unbounded; this is ours.)

    Args:
        image_size: S, in pixels.
        widths: channels at each resolution, from the base up to S; plain: up to S / 2.
        blocks_per_stage: residual blocks at each resolution: one number for all, or one each, as for `widths`. 0 if
            plain.
        latent_size: L; 64 as in R3GAN's public configuration.
        architecture: residual, or plain.

    Raises:
        ValueError: a size, a number of widths or of blocks, or an architecture that there is not.
    """

    differentiable: ClassVar[bool] = True

    @register_to_config
    def __init__(
        self,
        image_size: int,
        widths: Sequence[int],
        blocks_per_stage: int | Sequence[int] = 1,
        latent_size: int = 64,
        architecture: str = RESIDUAL,
    ) -> None:
        super().__init__()
        base, blocks = _check_stages(image_size, widths, blocks_per_stage, architecture)
        self.stem = nn.Linear(latent_size, widths[0] * base * base)
        self.unflatten = nn.Unflatten(1, (widths[0], base, base))
        self.to_rgb: nn.Conv2d | nn.ConvTranspose2d
        if architecture == PLAIN:
            self.stages = nn.Sequential(*(Upsample(*pair) for pair in pairwise(widths)))
            self.to_rgb = nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1)
        else:
            _msr(self.stem, 1.0)
            self.stages = _stages(widths, blocks, up=True)
            self.to_rgb = _msr(nn.Conv2d(widths[-1], 3, 3, padding=1), 1.0)

    @property
    def image_size(self) -> int:
        return self.config.image_size

    def sample_latents(self, n: int, *, draws: Draws | None = None, device: torch.device | str | None = None) -> Tensor:
        """Standard normal latents (n, L); see `Generator.sample_latents`."""
        if draws is None:
            return torch.randn(n, self.config.latent_size, device=device or self.device)
        if len(draws) != n:
            raise ValueError(f"{n} latents need {n} draws, not {len(draws)}")
        latents = draws.normal("latents", self.config.latent_size)
        return latents if device is None else latents.to(device)

    def forward(self, latents: Tensor) -> Tensor:
        with _full_precision(latents):
            h = self.unflatten(self.stem(latents))
        h = self.stages(h)
        with _full_precision(latents):
            h = h.to(self.to_rgb.weight.dtype)
            return torch.tanh(self.to_rgb(F.leaky_relu(h, SLOPE))).contiguous()


class GANDiscriminator(StrictModel, ConfigMixin):
    """Images (N, 3, S, S) in [-1, 1] to logits (N,): the generator's mirror image.

    Args:
        image_size: S, in pixels.
        widths: channels at each resolution, from the base up to S, as for the generator.
        blocks_per_stage: residual blocks at each resolution: one number for all, or one each, as for `widths`.
    """

    @register_to_config
    def __init__(self, image_size: int, widths: Sequence[int], blocks_per_stage: int | Sequence[int] = 1) -> None:
        super().__init__()
        base, blocks = _check_stages(image_size, widths, blocks_per_stage)
        self.from_rgb = _msr(nn.Conv2d(3, widths[-1], 3, padding=1), 1.0)
        self.stages = _stages(widths[::-1], blocks[::-1], up=False)
        # No bias: the loss sees differences of logits, so its gradient would be rounding noise, which Adam blows up.
        self.head = _msr(nn.Linear(widths[0] * base * base, 1, bias=False), 1.0)

    def forward(self, images: Tensor) -> Tensor:
        h = self.stages(self.from_rgb(images))
        with _full_precision(images):
            # bf16 holds a logit to within 0.4%, and the loss is a difference of two.
            h = h.to(self.head.weight.dtype)
            return self.head(F.leaky_relu(h, SLOPE).flatten(1)).squeeze(1)
