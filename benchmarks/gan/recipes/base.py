"""What a recipe is to the comparison, and the alternating training that the recipes of others share.

Shapes: N samples, S pixels a side; images (N, 3, S, S) float32 in [-1, 1], logits (N,), latents (N, 64).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from synthcl.generators.ema import MovingAverage, frozen_copy
from synthcl.generators.gan.diffaugment import NUM_PARAMETERS, check_policy, diffaugment
from synthcl.generators.gan.losses import gradient_penalties
from synthcl.pipeline.randomness import Key

LATENT_SIZE = 64
"""Latent size of all recipes, so that parameters go to the same places. Published: 100 (DCGAN), 128 (SNGAN), 512
(StyleGAN2)."""

WIDTH_STEP = 4
"""Step between the widths that `matching_width` tries. Ours: convolutions are quick at multiples of 4."""

STANDING_BATCHES, STANDING_SIZE = 32, 64
"""Batches, and samples in each, that the batch statistics of an average are computed from. Ours."""


class Recipe(ABC):
    """A GAN in training: G, D, G's moving average, and all that a step depends on."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module

    @abstractmethod
    def step(self, real: Tensor, key: Key) -> Tensor | None:
        """One update of D, and of G where it is its turn.

        Args:
            real: (N, 3, S, S) in [-1, 1].
            key: of this step's randomness: nothing else may choose a random number, so that a resumed run is exact.

        Returns:
            D's margin, mean D(x) - D(G(z)) over what it saw; None where there is no such thing.
        """

    @abstractmethod
    def sample_latents(self, n: int) -> Tensor:
        """n latents from torch's global generator."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that a step depends on."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    @torch.no_grad()
    def draw(self, n: int, key: Key, batch_size: int = 500) -> Tensor:
        """n samples of the average, (n, 3, S, S) uint8, as `synthcl generate` rounds them. Training does not notice."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key.bits)
            self.prepare_average()
            sizes = [min(batch_size, n - start) for start in range(0, n, batch_size)]
            batches = [self.average(self.sample_latents(size)) for size in sizes]
        return ((torch.cat(batches) * 0.5 + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)

    def prepare_average(self) -> None:
        """Have the average ready to be drawn from."""

    def parameters(self) -> dict[str, int]:
        """How many weights G and D have."""
        return {"generator": count(self.generator), "discriminator": count(self.discriminator)}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@cache
def matching_width(build: Callable[[int, int], nn.Module], image_size: int, target: int) -> int:
    """The multiple of WIDTH_STEP at which `build(image_size, width)` has nearest to `target` weights, as a ratio."""

    def size(width: int) -> int:
        return count(build(image_size, width))

    widest = WIDTH_STEP
    while size(widest) < target:
        widest *= 2
    widths = range(WIDTH_STEP, widest + 1, WIDTH_STEP)
    above = bisect_left(widths, target, key=size)
    return min(widths[max(above - 1, 0) : above + 1], key=lambda width: abs(math.log(size(width) / target)))


@dataclass(frozen=True)
class Settings:
    """The numbers of a recipe; each can be overridden.

    Attributes:
        generator_rate, discriminator_rate: Adam's learning rates.
        beta1, beta2: Adam's, for both.
        discriminator_steps: updates of D for one of G.
        gamma: weight of R1 (half of it, arXiv 1801.04406); 0 for none.
        penalty_every: R1 on one step in this many, with as many times the weight.
        ema_decay: of G's average, an update of G. The same for all: synthcl's default.
        augment: DiffAugment's parts.
        width_generator, width_discriminator: channels; 0 for those that match the number of weights of ours.
    """

    generator_rate: float
    discriminator_rate: float
    beta1: float
    beta2: float
    discriminator_steps: int = 1
    gamma: float = 0.0
    penalty_every: int = 1
    ema_decay: float = 0.999
    augment: str = "none"
    width_generator: int = 0
    width_discriminator: int = 0


class AlternatingGAN(Recipe):
    """The training that DCGAN, SNGAN and StyleGAN2 share; they differ in networks, losses and settings.

    As in ours, G's images of a step serve both its own update and the one of D before it; a second draw, which the
    StyleGAN2 code makes, would cost time and give nothing that is known of.

    Args:
        image_size: S.
        match: weights that G and D are to have about as many of.
        options: settings that are to be other than `settings`.
    """

    settings: ClassVar[Settings]
    diffaugment_policy: ClassVar[str | None] = None
    """The published one; None where none is."""

    def __init__(self, image_size: int, match: dict[str, int], **options: Any) -> None:
        known = [field.name for field in fields(Settings)]
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"no setting is called {unknown[0]!r}: choose from {', '.join(known)}")
        self.options = chosen = replace(self.settings, **options)
        self.generator, self.discriminator = (
            build(image_size, width or matching_width(build, image_size, match[name])).to(
                memory_format=torch.channels_last  # as for ours
            )
            for name, build, width in (
                ("generator", self.build_generator, chosen.width_generator),
                ("discriminator", self.build_discriminator, chosen.width_discriminator),
            )
        )
        self.average = frozen_copy(self.generator)
        self.moving_average = MovingAverage(self.average.parameters(), self.generator.parameters())
        self.augment = check_policy(chosen.augment)
        self.optimizers = {
            "generator": self._adam(self.generator, chosen.generator_rate, 1.0),
            "discriminator": self._adam(self.discriminator, chosen.discriminator_rate, self._lazy_factor()),
        }
        self.num_steps = self.num_generator_steps = 0

    @staticmethod
    @abstractmethod
    def build_generator(image_size: int, width: int) -> nn.Module:
        """Latents (N, 64) to images."""

    @staticmethod
    @abstractmethod
    def build_discriminator(image_size: int, width: int) -> nn.Module:
        """Images to logits."""

    @staticmethod
    @abstractmethod
    def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What D minimises, without R1."""

    @staticmethod
    @abstractmethod
    def generator_loss(fake_logits: Tensor) -> Tensor:
        """What G minimises."""

    def step(self, real: Tensor, key: Key) -> Tensor:
        torch.manual_seed(key.bits)
        generators_turn = (self.num_steps + 1) % self.options.discriminator_steps == 0
        with torch.set_grad_enabled(generators_turn):
            fake = self.generator(self.sample_latents(len(real)))
        margin = self._update_discriminator(real, fake.detach())
        if generators_turn:
            self._apply("generator", self.generator_loss(self.discriminator(self._see(fake))))
            self.moving_average.update(self.num_generator_steps, self.options.ema_decay)
            self.num_generator_steps += 1
        self.num_steps += 1
        return margin

    def _update_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        penalise = self.options.gamma > 0 and (self.num_steps + 1) % self.options.penalty_every == 0
        real = real.detach().requires_grad_(penalise)
        # Apart: batch normalisation and the statistics over a batch that a D may have are of real or of fake images.
        real_logits, fake_logits = self.discriminator(self._see(real)), self.discriminator(self._see(fake))
        loss = self.discriminator_loss(real_logits, fake_logits)
        if penalise:
            weight = self.options.gamma / 2 * self.options.penalty_every
            loss = loss + weight * gradient_penalties(real_logits, real).mean()
        self._apply("discriminator", loss)
        return (real_logits.mean() - fake_logits.mean()).detach()

    def _see(self, images: Tensor) -> Tensor:
        if not self.augment:
            return images
        return diffaugment(images, torch.rand(len(images), NUM_PARAMETERS), self.augment)

    def _apply(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        # What reaches D in G's update is dropped by the next zero_grad.
        inputs = list((self.generator if name == "generator" else self.discriminator).parameters())
        loss.backward(inputs=inputs)
        self.optimizers[name].step()

    def _adam(self, model: nn.Module, rate: float, factor: float) -> torch.optim.Adam:
        betas = (self.options.beta1**factor, self.options.beta2**factor)
        return torch.optim.Adam(model.parameters(), lr=rate * factor, betas=betas, fused=True)

    def _lazy_factor(self) -> float:
        """What a penalty on one step in k does to D's Adam: rate times c and betas to the c, c = k / (k + 1)
        (arXiv 1912.04958, appendix B)."""
        every = self.options.penalty_every
        return every / (every + 1) if self.options.gamma > 0 and every > 1 else 1.0

    def sample_latents(self, n: int) -> Tensor:
        return torch.randn(n, LATENT_SIZE)

    def prepare_average(self) -> None:
        """Batch statistics of the averaged weights, since those of the raw G do not fit them: "standing statistics"
        (BigGAN, arXiv 1809.11096)."""
        layers = [layer for layer in self.average.modules() if isinstance(layer, nn.BatchNorm2d)]
        if not layers:
            return
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean over batches
        self.average.train()
        for _ in range(STANDING_BATCHES):
            self.average(self.sample_latents(STANDING_SIZE))
        self.average.eval()

    def _parts(self) -> dict[str, Any]:
        models = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        return models | {f"optimizer_{name}": optimizer for name, optimizer in self.optimizers.items()}

    def state_dict(self) -> dict[str, Any]:
        counts = {"num_steps": self.num_steps, "num_generator_steps": self.num_generator_steps}
        return {name: part.state_dict() for name, part in self._parts().items()} | counts

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.num_steps, self.num_generator_steps = state["num_steps"], state["num_generator_steps"]
