"""One training step of the GAN, alone or together with a learner.

Shapes: N samples, S pixels a side; images (N, 3, S, S) float32 in [-1, 1].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..base import Draws, GeneratorTrainer, Synchronise, no_synchronisation
from ..ema import MovingAverage, frozen_copy
from ..precision import check_trained_precision, compute_in
from ..schedules import check_range, check_total_steps, final_decay, geometric, part_done
from .diffaugment import NUM_PARAMETERS, check_policy, diffaugment
from .hard_gradient import HardGradient, join_gradients, join_parameter_gradients
from .losses import discriminator_loss, generator_loss, gradient_penalties
from .networks import GANDiscriminator, GANGenerator
from .presets import Training, choose_preset, default_learning_rate, opponent_shape, preset_name
from .saved import (
    DISCRIMINATOR_FOLDER,
    TRAINING_FOLDER,
    SavedTraining,
    load_optimizers,
    log_fresh_starts,
    save_optimizers,
)

_DEFAULTS = Training()
_SHAPE = ("image_size", "widths", "blocks_per_stage", "latent_size", "architecture")


class GANTrainer(GeneratorTrainer):
    """Trains a generator against a discriminator: R3GAN's losses (arXiv 2501.05441), DiffAugment, Adam, EMA.

    The precision of a step is the trainer's own, whatever autocast the caller is under: fp16, with its narrow exponent,
    would lose the penalties, which are squares of small gradients and are differentiated once more.

    R3GAN changes gamma, beta2 and the learning rates over training. Here they are functions of the part of
    `total_steps` that is done. Without `total_steps` they stay at their first values.

    Args:
        generator: G, with the weights to start from.
        discriminator: D, likewise.
        average: G's moving average, to go on from; a copy of G if not given.
        device: where both are to be.
        learning_rate: Adam's for both networks, where the next two are not given. Without any of them a network has
            0.064 over its greatest width (ours; see `default_learning_rate`).
        generator_learning_rate: Adam's for G, above 0.
        discriminator_learning_rate: Adam's for D, above 0.
        gamma: weight of each gradient penalty (half of it, as in the papers), at least 0. R3GAN's at 32 pixels falls
            from 0.05 to 0.005; 0.2 (ours) came further in a short run of a narrow network on CIFAR-10 (one seed).
        final_gamma: what gamma comes to at the end, by an equal factor each step (ours; R3GAN's falls along a cosine);
            above 0. None: gamma stays.
        beta1: Adam's, in [0, 1). 0 as in R3GAN.
        beta2: Adam's, in [0, 1).
        final_beta2: what beta2 comes to at the end, 1 - beta2 by an equal factor each step (ours). R3GAN raises it from
            0.9 to 0.99. None: beta2 stays.
        decay: the last part of the training, in [0, 1], over which the learning rates fall to 0 along a half cosine;
            0 is none.
        penalty_every: compute the penalties on one step in this many, with as many times the weight, as StyleGAN2 does
            (arXiv 1912.04958, section 3.1); they are half of a step's cost. 1 is R3GAN's; see also `Preset`.
        ema_decay: of G's moving average, a step, in [0, 1).
        ema_warmup: ramp the decay up from 0, for a fresh G; one that is taken up needs none.
        augment: DiffAugment's parts, of colour, translation and cutout, or "none". Short runs came further without
            colour, on digits (two seeds) and on CIFAR-10 (one); long runs are untried.
        total_steps: how many steps there will be, for what changes over them.
        precision: fp32, or bf16 for the residual stages' convolutions; of G's images outside a step too.
        synchronise: averages gradients over processes.

    Raises:
        ValueError: a value out of its range, or an unknown part of `augment`.
    """

    generator: GANGenerator
    ema: GANGenerator

    def __init__(
        self,
        generator: GANGenerator,
        discriminator: GANDiscriminator,
        average: GANGenerator | None = None,
        *,
        device: torch.device | str | None = None,
        learning_rate: float | None = None,
        generator_learning_rate: float | None = _DEFAULTS.generator_learning_rate,
        discriminator_learning_rate: float | None = _DEFAULTS.discriminator_learning_rate,
        gamma: float = _DEFAULTS.gamma,
        final_gamma: float | None = _DEFAULTS.final_gamma,
        beta1: float = _DEFAULTS.beta1,
        beta2: float = _DEFAULTS.beta2,
        final_beta2: float | None = _DEFAULTS.final_beta2,
        decay: float = _DEFAULTS.decay,
        penalty_every: int = _DEFAULTS.penalty_every,
        ema_decay: float = _DEFAULTS.ema_decay,
        ema_warmup: bool = True,
        augment: str = _DEFAULTS.augment,
        total_steps: int | None = None,
        precision: str = "fp32",
        synchronise: Synchronise = no_synchronisation,
    ) -> None:
        self.generator_learning_rate = _rate(generator_learning_rate, learning_rate, generator, "generator")
        self.discriminator_learning_rate = _rate(
            discriminator_learning_rate, learning_rate, discriminator, "discriminator"
        )
        self.gamma, self.final_gamma = check_range("gamma", gamma, minimum=0), final_gamma
        if final_gamma is not None:
            check_range("final_gamma", final_gamma, above=0)
            check_range("gamma, where there is a final_gamma,", gamma, above=0)
        self.beta1 = check_range("beta1", beta1, minimum=0, below=1)
        self.beta2, self.final_beta2 = check_range("beta2", beta2, minimum=0, below=1), final_beta2
        if final_beta2 is not None:
            check_range("final_beta2", final_beta2, minimum=0, below=1)
        self.decay = check_range("decay", decay, minimum=0, maximum=1)
        self.penalty_every = int(check_range("penalty_every", penalty_every, minimum=1))
        self.ema_decay = check_range("ema_decay", ema_decay, minimum=0, below=1)
        self.augment, self.synchronise = check_policy(augment), synchronise
        self.total_steps = check_total_steps(total_steps)
        # channels_last was 2 to 9% faster a step on a CPU, in fp32 and in bf16, at 8, 16 and 32 pixels.
        self.generator = generator.to(device).to(memory_format=torch.channels_last).train()
        self.discriminator = discriminator.to(device).to(memory_format=torch.channels_last).train()
        self.precision = generator.computes_in = check_trained_precision(precision)
        self.ema = frozen_copy(generator if average is None else average)
        self.ema.to(device).to(memory_format=torch.channels_last)
        self.ema.computes_in = precision
        self.average = MovingAverage(self.ema.parameters(), self.generator.parameters(), warmup=ema_warmup)
        self.optimizers = {
            name: torch.optim.Adam(model.parameters(), lr=rate, betas=(beta1, beta2), fused=True)
            for name, (model, rate) in self._learners().items()
        }
        # Steps of this trainer, and of the one that it takes up.
        self.num_steps = self.steps_before = 0

    def _learners(self) -> dict[str, tuple[nn.Module, float]]:
        """The networks that have an optimizer, by name, each with its learning rate before the decay."""
        return {
            "generator": (self.generator, self.generator_learning_rate),
            "discriminator": (self.discriminator, self.discriminator_learning_rate),
        }

    @classmethod
    def create(
        cls, image_size: int, *, preset: str = "auto", discriminator_preset: str | None = None, **options: Any
    ) -> GANTrainer:
        """A trainer of untrained networks for images of `image_size` pixels.

        Args:
            image_size: S, in pixels.
            preset: a name of `presets.PRESETS`, or auto, which goes by size and device (`presets.preset_name`): the
                size of the networks, and what they are trained with.
            discriminator_preset: the preset that D has its size and its learning rate from, if not `preset`.
            options: as for the class; they override the preset's.
        """
        on_cpu = torch.device(options.get("device", "cpu")).type == "cpu"
        chosen = choose_preset(image_size, preset, on_cpu=on_cpu)
        values = dataclasses.asdict(chosen.training)
        opponent = chosen
        if discriminator_preset is not None:
            opponent = choose_preset(image_size, discriminator_preset, on_cpu=on_cpu)
            values["discriminator_learning_rate"] = opponent.training.discriminator_learning_rate
        networks = (
            GANGenerator(**chosen.generator_shape(image_size)),
            GANDiscriminator(**opponent.discriminator_shape(image_size)),
        )
        trainer = cls(*networks, **_overridden(values, options))
        trainer.preset = preset_name(image_size, preset, on_cpu=on_cpu)
        return trainer

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> GANTrainer:
        """Take up what `save_pretrained` wrote: G, its average, D, both Adam states and the options.

        Gamma and beta2 stay at what they had come to, and the learning rates at what they were before their decay,
        unless `options` ask for changes over a new `total_steps`. Adam's states and the turn of the penalties go on
        where they were; `num_steps` counts from 0 again.

        What is missing from the folder starts afresh, with a sentence in the log: a discriminator of G's size, G from
        its average, Adam's states and the options.

        Args:
            directory: the folder.
            options: as for the class; they override the saved ones. `ema_warmup` is False if not given.
        """
        folder, training = Path(directory), Path(directory) / TRAINING_FOLDER
        average = GANGenerator.from_pretrained(folder)
        saved = SavedTraining.read(training) if training.is_dir() else None
        generator = average if saved is None else GANGenerator.from_pretrained(training / "generator")
        if _shape(generator) != _shape(average):
            raise ValueError(f"the generator in {training} is not of the shape of its average in {folder}")
        has_discriminator = (folder / DISCRIMINATOR_FOLDER).is_dir()
        if has_discriminator:
            discriminator = GANDiscriminator.from_pretrained(folder / DISCRIMINATOR_FOLDER)
        else:
            discriminator = GANDiscriminator(**opponent_shape(_shape(average)))
        log_fresh_starts(folder, discriminator=not has_discriminator, training=saved is None)
        values = {"ema_warmup": False} | ({} if saved is None else _after_training(saved))
        trainer = cls(generator, discriminator, average, **_overridden(values, options))
        if saved is not None:
            trainer.steps_before = saved.num_steps
            taken_up = {n: m for n, (m, _) in trainer._learners().items() if n == "generator" or has_discriminator}
            load_optimizers(training, taken_up, trainer.optimizers)
        return trainer

    @property
    def options(self) -> dict[str, Any]:
        augment = ",".join(self.augment) or "none"
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Training)} | {"augment": augment}

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
        gamma = self._follow_schedules()
        with compute_in("fp32", real.device.type):  # forward passes alone are in `precision`; see `_judge`
            uniform = draws.uniform("diffaugment", 4, NUM_PARAMETERS).to(real.device)
            if images is None:
                latents = self.generator.sample_latents(len(real), draws=draws, device=real.device)
                images = self.generator(latents)
            _check_images(real, images, hard_gradient)
            metrics = self._update_discriminator(real, images.detach(), uniform[:, :2], gamma)
            hard = None if hard_gradient is None else HardGradient(hard_gradient, hard_bound, bound_on)
            metrics |= self._update_generator(real, images, hard, uniform[:, 2:])
        self.average.update(self.num_steps, self.ema_decay)
        self.num_steps += 1
        return metrics

    def _reached(self) -> dict[str, float]:
        """Gamma and beta2 as they are at this step."""
        part = part_done(self.num_steps, self.total_steps)
        beta2 = self.beta2
        if self.final_beta2 is not None:
            beta2 = 1 - geometric(1 - beta2, 1 - self.final_beta2, part)
        return {"gamma": geometric(self.gamma, self.final_gamma, part), "beta2": beta2}

    def _follow_schedules(self) -> float:
        """Set the optimizers for this step; returns its gamma."""
        reached = self._reached()
        factor = final_decay(part_done(self.num_steps, self.total_steps), self.decay)
        for name, (_, rate) in self._learners().items():
            for group in self.optimizers[name].param_groups:
                group["lr"], group["betas"] = factor * rate, (self.beta1, reached["beta2"])
        return reached["gamma"]

    def _update_discriminator(self, real: Tensor, fake: Tensor, uniform: Tensor, gamma: float) -> dict[str, Tensor]:
        # The penalties are on D as a function of what it sees, the augmented images: R3GAN's are on the images before
        # augmentation. Ours spares the second derivative of the augmentation.
        penalise = (self.steps_before + self.num_steps + 1) % self.penalty_every == 0
        seen = torch.cat((self._see(real, uniform[:, 0]), self._see(fake, uniform[:, 1]))).requires_grad_(penalise)
        logits = self._judge(seen)
        real_logits, fake_logits = logits.chunk(2)
        loss = total = discriminator_loss(real_logits, fake_logits)
        metrics = {"loss_discriminator": loss.detach(), "margin": (real_logits - fake_logits).detach().mean()}
        if penalise:
            penalties = gradient_penalties(logits, seen).unflatten(0, (2, -1)).mean(1)
            total = loss + self.penalty_every * gamma / 2 * penalties.sum()
            metrics |= dict(zip(("penalty_real", "penalty_fake"), penalties.detach(), strict=True))
        self._apply("discriminator", total)
        return metrics

    def _update_generator(
        self, real: Tensor, images: Tensor, hard: HardGradient | None, uniform: Tensor
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            real_logits = self._judge(self._see(real, uniform[:, 0]))
        leaf = images.detach().requires_grad_()
        loss = generator_loss(real_logits, self._judge(self._see(leaf, uniform[:, 1])))
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
        pushed = _gradients(parameters)
        self.optimizers["generator"].zero_grad(set_to_none=True)
        images.backward(realism)
        self.synchronise(parameters)
        joined, metrics = join_parameter_gradients(_gradients(parameters), pushed, hard.bound)
        for parameter, gradient in zip(parameters, joined, strict=True):
            parameter.grad = gradient
        self.optimizers["generator"].step()
        return metrics

    def _see(self, images: Tensor, uniform: Tensor) -> Tensor:
        return diffaugment(images, uniform, self.augment)

    def _judge(self, seen: Tensor) -> Tensor:
        """D's logits (N,). Backward passes are not under autocast, which would cast down what it left alone here."""
        with compute_in(self.precision, seen.device.type):
            return self.discriminator(seen)

    def _apply(self, name: str, output: Tensor, gradient: Tensor | None = None) -> None:
        """Back-propagate from `output`, average over processes, and move the network called `name`."""
        optimizer, model = self.optimizers[name], self.modules()[name]
        optimizer.zero_grad(set_to_none=True)
        output.backward(gradient)
        self.synchronise(model.parameters())
        optimizer.step()

    def modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "ema": self.ema, "discriminator": self.discriminator}

    def state_dict(self) -> dict[str, Any]:
        state = {name: model.state_dict() for name, model in self.modules().items()}
        state |= {f"optimizer_{name}": optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return state | {"num_steps": self.num_steps, "steps_before": self.steps_before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "steps_before" not in state:
            raise ValueError(
                "the checkpoint of the GAN is of an earlier version, which trained it with other constants, and cannot "
                "be continued; begin again in a new folder"
            )
        for name, model in self.modules().items():
            model.load_state_dict(state[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[f"optimizer_{name}"])
        self.num_steps, self.steps_before = state["num_steps"], state["steps_before"]

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the average, and beside it D, G's own weights, Adam's states and the options; see `saved`."""
        folder, training = Path(directory), Path(directory) / TRAINING_FOLDER
        self.ema.save_pretrained(str(folder))
        self.discriminator.save_pretrained(str(folder / DISCRIMINATOR_FOLDER))
        self.generator.save_pretrained(str(training / "generator"))
        save_optimizers(training, {name: model for name, (model, _) in self._learners().items()}, self.optimizers)
        SavedTraining(self.options, self._reached(), self.steps_before + self.num_steps).write(training)


def _rate(given: float | None, shared: float | None, network: GANGenerator | GANDiscriminator, name: str) -> float:
    """The learning rate of a network: its own, that of both, or what suits its width.

    Raises:
        OptionError: it is not above 0.
    """
    own = f"{name}_learning_rate"
    for option, rate in ((own, given), ("learning_rate", shared)):
        if rate is not None:
            return check_range(option, rate, above=0)
    return default_learning_rate(network.config.widths)


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The gradients of the last backward pass; 0 for parameters that it did not reach."""
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


def _overridden(values: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Values of a preset or of a folder, overridden by the caller's options. `learning_rate` overrides both rates."""
    if options.get("learning_rate") is not None:
        values = {name: value for name, value in values.items() if not name.endswith("_learning_rate")}
    return {**values, **options}


def _after_training(saved: SavedTraining) -> dict[str, Any]:
    """The options to go on with: constant, with the learning rates from before their decay."""
    return {**saved.options, **saved.reached, "final_gamma": None, "final_beta2": None, "decay": 0.0}


def _shape(network: GANGenerator) -> dict[str, Any]:
    return {name: network.config[name] for name in _SHAPE}


def _check_images(real: Tensor, images: Tensor, hard_gradient: Tensor | None) -> None:
    for name, other in (("images", images), ("hard_gradient", hard_gradient)):
        if other is not None and other.shape != real.shape:
            raise ValueError(f"{name} must have the shape of real, {tuple(real.shape)}, not {tuple(other.shape)}")
    if not images.requires_grad:
        raise ValueError("images must come with their graph: call the generator outside torch.no_grad()")
