"""One training step of the GAN, alone or together with a learner.

Shapes: N samples, S pixels a side; images (N, 3, S, S) float32 in [-1, 1].
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..base import Draws, GeneratorTrainer, Synchronise, no_synchronisation
from ..ema import MovingAverage, frozen_copy
from .diffaugment import NUM_PARAMETERS, check_policy, diffaugment
from .hard_gradient import HardGradient, join_gradients, join_parameter_gradients
from .losses import discriminator_loss, generator_loss, gradient_penalties
from .networks import GANDiscriminator, GANGenerator
from .presets import choose_preset

logger = logging.getLogger(__name__)

DISCRIMINATOR_FOLDER = "discriminator"


class GANTrainer(GeneratorTrainer):
    """Trains a generator against a discriminator: R3GAN's losses (arXiv 2501.05441), DiffAugment, Adam, EMA.

    The precision of a step is the trainer's own, whatever autocast the caller is under: fp16, with its narrow exponent,
    would lose the penalties, which are squares of small gradients and are differentiated once more.

    Args:
        generator: G, with the weights to start from.
        discriminator: D, likewise.
        device: where both are to be.
        learning_rate: Adam's, for both; 0.064 over the greatest width if not given (ours; see `default_learning_rate`).
        gamma: weight of each gradient penalty (half of it, as in the papers). R3GAN's at 32 pixels falls from 0.05; 0.2
            (ours) came further in a short run of a narrow network on CIFAR-10 (one seed); at length it is untried.
        penalty_every: compute the penalties on one step in this many, with as many times the weight, as StyleGAN2 does
            (arXiv 1912.04958, section 3.1); they are half of a step's cost. 1 is R3GAN's; see also `Preset`.
        ema_decay: of G's moving average, a step.
        ema_warmup: ramp the decay up from 0, for a fresh G; a G and an average that start equal need none.
        augment: DiffAugment's parts, of colour, translation and cutout, or "none". Short runs came further without
            colour, on digits (two seeds) and on CIFAR-10 (one); long runs are untried.
        bf16: compute the residual stages' convolutions in bf16.
        synchronise: averages gradients over processes.
    """

    generator: GANGenerator
    ema: GANGenerator

    def __init__(
        self,
        generator: GANGenerator,
        discriminator: GANDiscriminator,
        *,
        device: torch.device | str | None = None,
        learning_rate: float | None = None,
        gamma: float = 0.2,
        penalty_every: int = 1,
        ema_decay: float = 0.999,
        ema_warmup: bool = True,
        augment: str = "translation,cutout",
        bf16: bool = False,
        synchronise: Synchronise = no_synchronisation,
    ) -> None:
        # channels_last was 2 to 9% faster a step on a CPU, in fp32 and in bf16, at 8, 16 and 32 pixels.
        self.generator = generator.to(device=device, memory_format=torch.channels_last).train()
        self.discriminator = discriminator.to(device=device, memory_format=torch.channels_last).train()
        self.bf16 = bf16
        self.ema = frozen_copy(self.generator)
        self.average = MovingAverage(self.ema.parameters(), self.generator.parameters(), warmup=ema_warmup)
        if penalty_every < 1:
            raise ValueError(f"penalty_every must be at least 1, not {penalty_every}")
        self.gamma, self.penalty_every = gamma, penalty_every
        self.ema_decay = ema_decay
        self.augment, self.synchronise = check_policy(augment), synchronise
        if learning_rate is None:
            learning_rate = default_learning_rate(generator.config.widths)
        self.optimizers = {
            name: torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.0, 0.99), fused=True)
            for name, model in (("generator", self.generator), ("discriminator", self.discriminator))
        }
        self.num_steps = 0

    @classmethod
    def create(cls, image_size: int, *, preset: str = "auto", **options: Any) -> GANTrainer:
        """A trainer of fresh networks, of the size that `preset` names, for images of `image_size` pixels."""
        chosen = choose_preset(image_size, preset)
        shape = {
            "image_size": image_size,
            "widths": chosen.widths(image_size),
            "blocks_per_stage": chosen.blocks_per_stage,
        }
        options = {"penalty_every": chosen.penalty_every, **options}
        return cls(GANGenerator(**shape), GANDiscriminator(**shape), **options)

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> GANTrainer:
        """Take up what `save_pretrained` wrote: G and its average both start from the saved average, D from its own.

        Without a saved discriminator a fresh one of G's size is used, with a warning in the log.
        """
        generator = GANGenerator.from_pretrained(str(directory))
        folder = Path(directory) / DISCRIMINATOR_FOLDER
        if folder.is_dir():
            discriminator = GANDiscriminator.from_pretrained(str(folder))
        else:
            logger.warning("no %s folder in %s: the discriminator starts afresh", DISCRIMINATOR_FOLDER, directory)
            shape = {name: generator.config[name] for name in ("image_size", "widths", "blocks_per_stage")}
            discriminator = GANDiscriminator(**shape)
        return cls(generator, discriminator, **{"ema_warmup": False, **options})

    def step(
        self,
        real: Tensor,
        draws: Draws,
        *,
        images: Tensor | None = None,
        hard_gradient: Tensor | None = None,
        hard_bound: float | Tensor = 1.0,
        bound_on: str = "images",
    ) -> dict[str, Tensor]:
        """One update of D, then one of G against the new D on the same images, then one of the average.

        See `GeneratorTrainer.step`. G's images are drawn once and G is back-propagated through once. The penalties are
        among the metrics of the steps that compute them.
        """
        with self._autocast(real.device):
            uniform = draws.uniform("diffaugment", 4, NUM_PARAMETERS).to(real.device)
            if images is None:
                latents = self.generator.sample_latents(len(real), draws=draws, device=real.device)
                images = self.generator(latents)
            _check_images(real, images, hard_gradient)
            metrics = self._update_discriminator(real, images.detach(), uniform[:, :2])
            hard = None if hard_gradient is None else HardGradient(hard_gradient, hard_bound, bound_on)
            metrics |= self._update_generator(real, images, hard, uniform[:, 2:])
        self.average.update(self.num_steps, self.ema_decay)
        self.num_steps += 1
        return metrics

    def _update_discriminator(self, real: Tensor, fake: Tensor, uniform: Tensor) -> dict[str, Tensor]:
        # The penalties are on D as a function of what it sees, the augmented images: R3GAN's are on the images before
        # augmentation. Ours spares the second derivative of the augmentation.
        penalise = (self.num_steps + 1) % self.penalty_every == 0
        seen = torch.cat((self._see(real, uniform[:, 0]), self._see(fake, uniform[:, 1]))).requires_grad_(penalise)
        logits = self.discriminator(seen)
        real_logits, fake_logits = logits.chunk(2)
        loss = total = discriminator_loss(real_logits, fake_logits)
        metrics = {"loss_discriminator": loss.detach(), "margin": (real_logits - fake_logits).detach().mean()}
        if penalise:
            penalties = gradient_penalties(logits, seen).unflatten(0, (2, -1)).mean(1)
            total = loss + self.penalty_every * self.gamma / 2 * penalties.sum()
            metrics |= dict(zip(("penalty_real", "penalty_fake"), penalties.detach(), strict=True))
        self._apply("discriminator", total)
        return metrics

    def _update_generator(
        self, real: Tensor, images: Tensor, hard: HardGradient | None, uniform: Tensor
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            real_logits = self.discriminator(self._see(real, uniform[:, 0]))
        leaf = images.detach().requires_grad_()
        loss = generator_loss(real_logits, self.discriminator(self._see(leaf, uniform[:, 1])))
        (gradient,) = torch.autograd.grad(loss, leaf)
        # Of each sample's own loss, and their mean: the same for any number of processes.
        norms = len(gradient) * torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        metrics = {"loss_generator": loss.detach(), "gradient_realism": norms.mean()}
        if hard is not None and hard.bound_on == "parameters":
            return metrics | self._apply_within(images, gradient, hard)
        if hard is not None:
            gradient, joined = join_gradients(gradient, hard.gradient, hard.bound)
            metrics |= joined
        self._apply("generator", images, gradient)
        return metrics

    def _apply_within(self, images: Tensor, realism: Tensor, hard: HardGradient) -> dict[str, Tensor]:
        """Move G by both gradients, bounded where they meet, in its parameters: one more pass back through G."""
        parameters = list(self.generator.parameters())
        self.optimizers["generator"].zero_grad(set_to_none=True)
        images.backward(hard.gradient, retain_graph=True)
        self.synchronise(parameters)
        pushed = [p.grad for p in parameters]
        self.optimizers["generator"].zero_grad(set_to_none=True)
        images.backward(realism)
        self.synchronise(parameters)
        joined, metrics = join_parameter_gradients([p.grad for p in parameters], pushed, hard.bound)
        for parameter, gradient in zip(parameters, joined, strict=True):
            parameter.grad = gradient
        self.optimizers["generator"].step()
        return metrics

    def _see(self, images: Tensor, uniform: Tensor) -> Tensor:
        return diffaugment(images, uniform, self.augment)

    def _apply(self, name: str, output: Tensor, gradient: Tensor | None = None) -> None:
        """Back-propagate from `output`, average over processes, and move the network called `name`."""
        optimizer, model = self.optimizers[name], self.modules()[name]
        optimizer.zero_grad(set_to_none=True)
        output.backward(gradient)
        self.synchronise(model.parameters())
        optimizer.step()

    def _autocast(self, device: torch.device) -> torch.autocast:
        # Autocast would keep casts of D's weights from before its update for G's step; hence no cache.
        enabled = self.bf16
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)

    def modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "ema": self.ema, "discriminator": self.discriminator}

    def state_dict(self) -> dict[str, Any]:
        state = {name: model.state_dict() for name, model in self.modules().items()}
        state |= {f"optimizer_{name}": optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return state | {"num_steps": self.num_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, model in self.modules().items():
            model.load_state_dict(state[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[f"optimizer_{name}"])
        self.num_steps = state["num_steps"]

    def save_pretrained(self, directory: str | Path) -> None:
        self.ema.save_pretrained(str(directory))
        self.discriminator.save_pretrained(str(Path(directory) / DISCRIMINATOR_FOLDER))


def default_learning_rate(widths: Sequence[int]) -> float:
    """0.064 / greatest width: 2e-3 at 32 channels, the better of 1e-3 and 2e-3 on 8-pixel digits (ours; one seed).

    Adam's rate falls as 1 / width, as for hidden layers in arXiv 2203.03466, table 3.
    """
    return 0.064 / max(widths)


def _check_images(real: Tensor, images: Tensor, hard_gradient: Tensor | None) -> None:
    for name, other in (("images", images), ("hard_gradient", hard_gradient)):
        if other is not None and other.shape != real.shape:
            raise ValueError(f"{name} must have the shape of real, {tuple(real.shape)}, not {tuple(other.shape)}")
    if not images.requires_grad:
        raise ValueError("images must come with their graph: call the generator outside torch.no_grad()")
