"""What a training step is compared with in joint_step.py: its bare passes, and two steps in turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from speed import PausedTraining
from torch import Tensor

from synthcl.generators.diffusion.trainer import DiffusionTrainer
from synthcl.generators.gan.losses import discriminator_loss, generator_loss, gradient_penalties
from synthcl.generators.gan.trainer import GANTrainer
from synthcl.generators.precision import compute_in
from synthcl.pipeline.regimes import fresh, online
from synthcl.pipeline.training.step import TrainingStep

Passes = dict[str, Callable[[int], None]]
"""By part, what does the passes of a step, given its number."""


def run_all(passes: Passes, steps: int) -> None:
    for index in range(steps):
        for run in passes.values():
            run(index)


def bare_passes(training: PausedTraining) -> Passes:
    """The passes of a step on its own tensors, by part.

    The tensors are those of the step that is about to come.
    """
    step = training.step
    regime, learner, accelerator = step.regime, step.inner, step.accelerator
    batch = regime.batch(training.index, learner)
    # Where the generator is to follow the learner, the gradient goes on to the views.
    views = batch.views.detach().contiguous(memory_format=torch.channels_last)
    views.requires_grad_(batch.views.requires_grad)
    groups, num_real = batch.groups, batch.num_real

    def learn(index: int) -> None:
        with accelerator.autocast():
            output = type(learner).forward(learner, views, groups, num_real)
        output.loss.backward()
        learner.zero_grad(set_to_none=True)
        learner.take_notes()
        views.grad = None

    passes: Passes = {"learner": learn}
    if isinstance(regime, fresh.FreshRegime):
        draws = regime.key.child(training.index).at(regime.share.numbers(regime.real.device))
        passes["generator"] = lambda index: discard(regime._draw(draws))
    if isinstance(regime, online.OnlineRegime):
        assert isinstance(batch, online.OnlineBatch)
        passes |= generator_passes(regime, batch)
    return passes


def discard(result: object) -> None:
    """Nothing, of what a call gave."""


def generator_passes(regime: online.OnlineRegime, batch: online.OnlineBatch) -> Passes:
    """The passes of G, of its average, and of what holds G to the real images."""
    trainer = regime.trainer
    latents = trainer.generator.sample_latents(len(batch.images), draws=batch.draws)
    fake = batch.images.detach().clone()
    real = batch.real[: len(fake)] * 2 - 1 if len(batch.real) >= len(fake) else torch.randn_like(fake)
    gradient = torch.randn_like(fake) / fake.numel()

    def generate_both(index: int) -> None:
        images = trainer.generator(latents)
        if regime.options.pairs:
            regime._partners(latents, batch.draws)
        if isinstance(trainer, GANTrainer):
            with compute_in(trainer.precision, fake.device.type):
                images.backward(gradient)
        else:
            images.backward(gradient)
        trainer.generator.zero_grad(set_to_none=True)

    if isinstance(trainer, GANTrainer):
        return {"generator": generate_both, "realism": partial(discriminate, trainer, real, fake)}
    assert isinstance(trainer, DiffusionTrainer)
    return {"generator": generate_both, "realism": partial(denoise, trainer, real, batch.draws)}


def discriminate(trainer: GANTrainer, real: Tensor, fake: Tensor, index: int) -> None:
    """D's own update, with penalties on one step in so many, and what it says to G."""
    penalised = (index + 1) % trainer.penalty_every == 0
    with compute_in(trainer.precision, real.device.type):
        seen = torch.cat((real, fake)).requires_grad_(penalised)
        logits = trainer.discriminator(seen)
        loss = discriminator_loss(*logits.chunk(2))
        if penalised:
            loss = loss + gradient_penalties(logits, seen).mean()
        loss.backward()
        with torch.no_grad():
            real_logits = trainer.discriminator(real)
        leaf = fake.detach().requires_grad_()
        torch.autograd.grad(generator_loss(real_logits, trainer.discriminator(leaf)), leaf)
    trainer.discriminator.zero_grad(set_to_none=True)


def denoise(trainer: DiffusionTrainer, real: Tensor, draws: Any, index: int) -> None:
    """One pass of the denoising loss."""
    timesteps = draws.integers("timesteps", len(trainer.alphas_cumprod)).to(real.device)
    trainer.generator.predict(real, timesteps).square().mean().backward()
    trainer.generator.zero_grad(set_to_none=True)


class Alternation:
    """The learner's step and the generator's in turn, each on images and samples of its own.

    Networks, views, optimizers and the generator's own loss are those of the joint step.

    Args:
        step: of an online training, whose networks are trained along.
        frozen: take the learner's gradient at the samples alone in the generator's step.
    """

    def __init__(self, step: TrainingStep, frozen: bool) -> None:
        self.step, self.frozen, self.index = step, frozen, 0
        assert isinstance(step.regime, online.OnlineRegime)
        self.regime: online.OnlineRegime = step.regime

    def __call__(self, steps: int) -> None:
        for _ in range(steps):
            self._learner_step()
            self._generator_step()
            self.index += 2

    def _learner_step(self) -> None:
        with torch.no_grad():
            batch = self.regime.batch(self.index, self.step.inner)
        self._loss(batch).backward()
        self.step.optimizer.step()
        self.step.optimizer.zero_grad()
        self.step.inner.after_step(0.5)

    def _generator_step(self) -> None:
        learner = self.step.inner
        batch = self.regime.batch(self.index + 1, learner)
        loss = self._loss(batch)
        if self.frozen:
            (gradient,) = torch.autograd.grad(loss, batch.leaf)
        else:
            loss.backward()
            gradient = batch.leaf.grad
            learner.zero_grad(set_to_none=True)
        learner.take_notes()
        real = batch.real[torch.arange(len(batch.images), device=batch.real.device) % len(batch.real)] * 2 - 1
        self.regime.trainer.step(real, batch.draws, images=batch.images, hard_gradient=gradient, hard_bound=0.2)

    def _loss(self, batch: online.OnlineBatch) -> Tensor:
        with self.step.accelerator.autocast():
            views = batch.views.contiguous(memory_format=torch.channels_last)
            return self.step.learner(views, batch.groups, batch.num_real).loss
