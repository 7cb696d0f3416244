"""SNGAN (Miyato et al. 2018, arXiv 1802.05957): a hinge loss, and a discriminator of spectral norm 1 in each layer.

The residual networks of its table 4 with one width throughout, with as many down- and upsamplings as the image size
takes; the hinge loss is eq. 16 and 17, and Adam and five updates of D for one of G are those of its public code for
CIFAR-10. A second time scale in place of the five updates (TTUR; SAGAN, arXiv 1805.08318, section 4: 1e-4 for G, 4e-4
for D) is `discriminator_steps=1`, `generator_rate=1e-4`, `discriminator_rate=4e-4`. Left out: the linear decay of the
rates, as the comparison looks at several times, and the twice as large batch of G.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from synthcl.generators.gan.presets import resolutions

from .base import LATENT_SIZE, AlternatingGAN, Settings


def _xavier(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Uniform weights after Glorot and Bengio (2010), bias 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return _xavier(nn.Conv2d(channels_in, channels_out, 3, padding=1), math.sqrt(2))


class UpBlock(nn.Module):
    """Batch norm, ReLU, doubling, 3x3, batch norm, ReLU, 3x3, beside a doubling and 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1, self.conv2 = _conv3(channels, channels), _conv3(channels, channels)
        self.shortcut = _xavier(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2))
        # The 1x1 convolution before the doubling: the same values at a quarter of the cost.
        return self.conv2(F.relu(self.norm2(h))) + F.interpolate(self.shortcut(x), scale_factor=2)


class SNGANGenerator(nn.Sequential):
    def __init__(self, image_size: int, width: int) -> None:
        sides = resolutions(image_size)
        super().__init__(
            _xavier(nn.Linear(LATENT_SIZE, width * sides[0] ** 2)),
            nn.Unflatten(1, (width, sides[0], sides[0])),
            *(UpBlock(width) for _ in sides[1:]),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _xavier(nn.Conv2d(width, 3, 3, padding=1)),
            nn.Tanh(),
        )


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, halving, beside 1x1 and a halving; the first block has no ReLU at its input."""

    def __init__(self, channels_in: int, channels: int, *, down: bool, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1, self.conv2 = (spectral_norm(_conv3(before, channels)) for before in (channels_in, channels))
        self.shortcut = spectral_norm(_xavier(nn.Conv2d(channels_in, channels, 1))) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        # The halving before the 1x1 convolution: the same values at a quarter of the cost.
        return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2)) if self.down else h + self.shortcut(x)


class SNGANDiscriminator(nn.Module):
    """Two blocks that halve and two that do not, as for 32 pixels, the sum over pixels, and a linear layer."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            DownBlock(3, width, down=True, first=True),
            DownBlock(width, width, down=True),
            DownBlock(width, width, down=False),
            DownBlock(width, width, down=False),
        )
        self.head = spectral_norm(_xavier(nn.Linear(width, 1)))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.relu(self.blocks(images)).sum((2, 3))).squeeze(1)


class SNGAN(AlternatingGAN):
    settings = Settings(generator_rate=2e-4, discriminator_rate=2e-4, beta1=0.0, beta2=0.9, discriminator_steps=5)
    build_generator, build_discriminator = SNGANGenerator, SNGANDiscriminator
    # SNGAN-DiffAug of PyTorch-StudioGAN (arXiv 2206.09479) has all three parts.
    diffaugment_policy = "colour,translation,cutout"

    @staticmethod
    def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    @staticmethod
    def generator_loss(fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()
