"""DCGAN (Radford, Metz and Chintala 2016, arXiv 1511.06434): strided convolutions, batch norm, a non-saturating loss.

Architecture by the guidelines of section 3, initialisation and Adam by "details of adversarial training" there. The
loss is Goodfellow et al. 2014 (arXiv 1406.2661, section 3) with the generator's own form, which does not saturate.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from synthcl.generators.gan.presets import resolutions

from .base import LATENT_SIZE, AlternatingGAN, Settings

SLOPE, DEVIATION = 0.2, 0.02
"""The slope of the leaky ReLU, and the deviation of the initial weights."""


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, DEVIATION)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, DEVIATION)


def doubling(image_size: int, width: int) -> tuple[int, list[int]]:
    """The side at the base, and the channels from there up to half the image size: `width` there, twice below."""
    sides = resolutions(image_size)
    return sides[0], [width * 2**i for i in reversed(range(len(sides) - 1))]


class DCGANGenerator(nn.Sequential):
    """Transposed 4x4 convolutions of stride 2 from a projection of the latent; ReLU, batch norm, tanh at the end."""

    def __init__(self, image_size: int, width: int) -> None:
        base, channels = doubling(image_size, width)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (LATENT_SIZE, 1, 1)),
            nn.ConvTranspose2d(LATENT_SIZE, channels[0], base, bias=False),
        ]
        for before, after in zip(channels, [*channels[1:], 3], strict=True):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=after == 3))
        super().__init__(*layers, nn.Tanh())
        self.apply(_initialise)


class DCGANDiscriminator(nn.Sequential):
    """4x4 convolutions of stride 2 and one over the base; leaky ReLU, batch norm but at the input and the output."""

    def __init__(self, image_size: int, width: int) -> None:
        base, channels = doubling(image_size, width)
        channels = channels[::-1]
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 4, stride=2, padding=1), nn.LeakyReLU(SLOPE, inplace=True)]
        for before, after in pairwise(channels):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE, inplace=True)]
        super().__init__(*layers, nn.Conv2d(channels[-1], 1, base), nn.Flatten(0))
        self.apply(_initialise)


class DCGAN(AlternatingGAN):
    settings = Settings(generator_rate=2e-4, discriminator_rate=2e-4, beta1=0.5, beta2=0.999)
    build_generator, build_discriminator = DCGANGenerator, DCGANDiscriminator

    @staticmethod
    def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-log sigma(D(x)) - log(1 - sigma(D(G(z))))."""
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    @staticmethod
    def generator_loss(fake_logits: Tensor) -> Tensor:
        """-log sigma(D(G(z)))."""
        return F.softplus(-fake_logits).mean()
