"""StyleGAN2 (Karras et al. 2020, arXiv 1912.04958) as configured for CIFAR-10 in the public code of
StyleGAN2-ADA (arXiv 2006.06676).

A mapping network of two layers, modulated and demodulated convolutions with noise, skip connections to RGB in G, a
discriminator without residual connections and with the deviation over the batch, equalised learning rates, and the
non-saturating loss with R1 one step in 16; no path length regularisation and no style mixing, as there. Left out:
adaptive augmentation. Narrow, and with a base of 4 to 7 pixels.

Shapes: N samples, C channels, H pixels a side, W dimensions of the intermediate latent.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthcl.generators.gan.presets import resolutions

from .base import LATENT_SIZE, AlternatingGAN, Settings

SLOPE, GAIN = 0.2, math.sqrt(2)
"""The slope of the leaky ReLU, and the gain after it."""

MAPPING_LAYERS, MAPPING_RATE = 2, 0.01
"""Layers, and the factor of their learning rate."""

DEVIATION_GROUP = 32
"""Samples that the deviation over the batch is of."""


def activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE) * GAIN


class Linear(nn.Module):
    """Equalised learning rate: unit normal weights, scaled at each use (arXiv 1710.10196, section 4.1)."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.rate, self.scale = rate, rate / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Conv(nn.Module):
    """A convolution (N, C, H, H) with an equalised learning rate; `down` halves the side after a low pass."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, *, down: bool = False) -> None:
        super().__init__()
        self.down, self.padding = down, 0 if down else kernel // 2
        self.scale = 1 / math.sqrt(channels_in * kernel**2)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        if self.down:
            x = low_pass(x, padding=2)
        return F.conv2d(x, self.weight * self.scale, self.bias, stride=1 + self.down, padding=self.padding)


def low_pass(x: Tensor, padding: int) -> Tensor:
    """The filter [1, 3, 3, 1] / 8 in both directions, by which the side changes by 2 padding - 3."""
    # [1, 3, 3, 1] is [1, 1] three times over: three means of 2x2.
    x = F.pad(x, [padding] * 4)
    for _ in range(3):
        x = F.avg_pool2d(x, 2, stride=1)
    return x


class ModulatedConv(nn.Module):
    """A 3x3 convolution whose input channels a style scales, with outputs brought back to unit deviation (eq. 1, 3).

    The style scales the activations in place of the weights: the same values, and one convolution for all samples.
    """

    def __init__(self, channels_in: int, channels_out: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.style = Linear(LATENT_SIZE, channels_in, bias=1.0)
        self.scale = 1 / math.sqrt(channels_in * 9)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style, weight = self.style(w), self.weight * self.scale  # (N, C_in), (C_out, C_in, 3, 3)
        demodulation = (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()  # (N, C_out)
        x = x * style[:, :, None, None]
        if self.up:
            x = low_pass(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1) * 4
        else:
            x = F.conv2d(x, weight, padding=1)
        noise = torch.randn(len(x), 1, *x.shape[2:]) * self.noise_strength
        return activate(x * demodulation[:, :, None, None] + noise + self.bias[:, None, None])


class ToRGB(nn.Module):
    """A 1x1 convolution to colours, modulated and not demodulated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.style, self.conv = Linear(LATENT_SIZE, channels, bias=1.0), Conv(channels, 3, 1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x * self.style(w)[:, :, None, None])


class StyleGAN2Generator(nn.Module):
    """Latents through the mapping network to styles; a learned constant through two convolutions a resolution.

    The output is held to [-1, 1] where it is measured alone, as there.
    """

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        base, *above = resolutions(image_size)
        self.mapping = nn.ModuleList(Linear(LATENT_SIZE, LATENT_SIZE, rate=MAPPING_RATE) for _ in range(MAPPING_LAYERS))
        self.constant = nn.Parameter(torch.randn(1, width, base, base))
        self.first = ModulatedConv(width, width, up=False)
        self.convs = nn.ModuleList(
            nn.ModuleList([ModulatedConv(width, width, up=True), ModulatedConv(width, width, up=False)]) for _ in above
        )
        self.to_rgb = nn.ModuleList(ToRGB(width) for _ in (base, *above))

    def forward(self, latents: Tensor) -> Tensor:
        w = latents * latents.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        for layer in self.mapping:
            w = activate(layer(w))
        x = self.first(self.constant.expand(len(w), -1, -1, -1), w)
        image = self.to_rgb[0](x, w)
        for (up, conv), to_rgb in zip(self.convs, self.to_rgb[1:], strict=True):
            x = conv(up(x, w), w)
            # Bilinear is what the low pass makes of zeros put between pixels.
            image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False) + to_rgb(x, w)
        return image


class StyleGAN2Discriminator(nn.Module):
    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        base, *above = resolutions(image_size)
        self.from_rgb = Conv(3, width, 1)
        self.convs = nn.ModuleList(Conv(width, width, down=down) for _ in above for down in (False, True))
        self.last = Conv(width + 1, width)
        self.dense, self.head = Linear(width * base**2, width), Linear(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = activate(self.from_rgb(images))
        for conv in self.convs:
            x = activate(conv(x))
        x = activate(self.last(torch.cat((x, batch_deviation(x)), 1)))
        return self.head(activate(self.dense(x.flatten(1)))).squeeze(1)


def batch_deviation(x: Tensor) -> Tensor:
    """(N, 1, H, H): the standard deviation over a group of samples, averaged over channels and pixels (1710.10196)."""
    size = DEVIATION_GROUP if len(x) % DEVIATION_GROUP == 0 else len(x)
    groups = x.unflatten(0, (size, -1))
    deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # one a group
    return deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])


class StyleGAN2(AlternatingGAN):
    settings = Settings(
        generator_rate=2.5e-3, discriminator_rate=2.5e-3, beta1=0.0, beta2=0.99, gamma=0.01, penalty_every=16
    )
    build_generator, build_discriminator = StyleGAN2Generator, StyleGAN2Discriminator
    # Of all of CIFAR-10 in the public code of DiffAugment (arXiv 2006.10738).
    diffaugment_policy = "colour,cutout"

    @staticmethod
    def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    @staticmethod
    def generator_loss(fake_logits: Tensor) -> Tensor:
        return F.softplus(-fake_logits).mean()
