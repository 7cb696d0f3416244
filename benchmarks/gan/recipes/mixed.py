"""Networks and losses of ours and of others, mixed: which part of a recipe is it that helps or hurts?

    mixed:generator=plain:discriminator=residual:loss=pairing:generator_rate=1e-3

No recipe that anyone published. The width of each network is the one at which it has about as many weights as ours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from synthcl.generators.gan.losses import discriminator_loss, generator_loss, gradient_penalties
from synthcl.generators.gan.networks import SLOPE, GANDiscriminator, GANGenerator
from synthcl.generators.gan.presets import resolutions
from synthcl.pipeline.randomness import Key

from .base import LATENT_SIZE, AlternatingGAN, Settings
from .dcgan import DCGAN, DCGANDiscriminator, DCGANGenerator, doubling


class PlainGenerator(nn.Sequential):
    """DCGAN's generator with leaky ReLU, norms of each sample by itself or none, and torch's own initialisation.

    Args:
        image_size: S.
        width: channels at half of S, which double towards the base.
        groups: of each layer's channels to normalise by themselves, sample by sample; 0 is no norm.
    """

    def __init__(self, image_size: int, width: int, groups: int = 0) -> None:
        base, channels = doubling(image_size, width)
        layers: list[nn.Module] = [nn.Linear(LATENT_SIZE, channels[0] * base**2), nn.Unflatten(1, (-1, base, base))]
        for before, after in zip(channels, [*channels[1:], 3], strict=True):
            norm = nn.GroupNorm(groups, before) if groups else nn.Identity()
            layers += [norm, nn.LeakyReLU(SLOPE), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        super().__init__(*layers, nn.Tanh())


def residual_generator(image_size: int, width: int) -> nn.Module:
    return GANGenerator(image_size, *_residual(image_size, width), LATENT_SIZE)


def residual_discriminator(image_size: int, width: int) -> nn.Module:
    return GANDiscriminator(image_size, *_residual(image_size, width))


def _residual(image_size: int, width: int) -> tuple[list[int], list[int]]:
    """Widths that halve with each resolution, and a block at each but the highest, where blocks cost most."""
    count = len(resolutions(image_size))
    return [max(4, width // 2**i) for i in range(count)], [1] * (count - 1) + [0]


GENERATORS = {
    "residual": residual_generator,
    "plain": PlainGenerator,
    "normalised": lambda image_size, width: PlainGenerator(image_size, width, groups=2),
    "dcgan": DCGANGenerator,
}
DISCRIMINATORS = {"residual": residual_discriminator, "dcgan": DCGANDiscriminator}
LOSSES = ("pairing", "non-saturating")


class Mixed(AlternatingGAN):
    """A generator and a discriminator by name, with the loss of R3GAN (pairing, R1 and R2) or that of DCGAN."""

    settings = Settings(
        generator_rate=1e-3, discriminator_rate=1e-3, beta1=0.0, beta2=0.99, gamma=0.02, penalty_every=4
    )
    discriminator_loss, generator_loss = staticmethod(DCGAN.discriminator_loss), staticmethod(DCGAN.generator_loss)
    build_generator, build_discriminator = staticmethod(PlainGenerator), staticmethod(residual_discriminator)

    def __init__(
        self,
        image_size: int,
        match: dict[str, int],
        *,
        generator: str = "plain",
        discriminator: str = "residual",
        loss: str = "pairing",
        **options: Any,
    ) -> None:
        for what, name, known in (
            ("generator", generator, GENERATORS),
            ("discriminator", discriminator, DISCRIMINATORS),
            ("loss", loss, LOSSES),
        ):
            if name not in known:
                raise ValueError(f"no {what} is called {name!r}: choose from {', '.join(known)}")
        self.build_generator, self.build_discriminator = GENERATORS[generator], DISCRIMINATORS[discriminator]
        self.loss = loss
        super().__init__(image_size, match, **options)
        if loss == "pairing" and self.options.discriminator_steps != 1:
            raise ValueError("discriminator_steps is for loss=non-saturating; with pairing each step updates both")

    def step(self, real: Tensor, key: Key) -> Tensor:
        if self.loss != "pairing":
            return super().step(real, key)
        torch.manual_seed(key.bits)
        fake = self.generator(self.sample_latents(len(real)))
        penalise = self.options.gamma > 0 and (self.num_steps + 1) % self.options.penalty_every == 0
        seen = torch.cat((self._see(real), self._see(fake.detach()))).requires_grad_(penalise)
        logits = self.discriminator(seen)
        on_real, on_fake = logits.chunk(2)
        loss = discriminator_loss(on_real, on_fake)
        if penalise:
            weight = self.options.gamma / 2 * self.options.penalty_every
            loss = loss + weight * gradient_penalties(logits, seen).unflatten(0, (2, -1)).mean(1).sum()
        self._apply("discriminator", loss)
        with torch.no_grad():
            against = self.discriminator(self._see(real))
        self._apply("generator", generator_loss(against, self.discriminator(self._see(fake))))
        self.moving_average.update(self.num_generator_steps, self.options.ema_decay)
        self.num_generator_steps += 1
        self.num_steps += 1
        return (on_real - on_fake).detach().mean()
