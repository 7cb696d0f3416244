"""One step of contrastive training: batch, loss, backward, update, and what the regime makes of it.

Shapes: B real images and M synthetic samples a step over all processes, N views in this process.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ...learners import Learner, LearnerOutput
from ...learners.batchnorm import average_running_statistics
from ...learners.optimizers import set_learning_rate
from ..regimes.base import MultiViewedBatch, Regime
from ..runs.checkpoint import Stateful
from ..views.adversarial import AdversarialViews
from .schedule import Schedule


class TrainingStep:
    """One step: batch, loss, backward, update, and what the regime makes of it."""

    def __init__(
        self,
        accelerator: Accelerator,
        learner: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        regime: Regime,
        adversary: AdversarialViews | None = None,
        clip_gradients: float | None = None,
        compiled: bool = False,
    ) -> None:
        self.compiled = compiled
        self.accelerator, self.learner, self.optimizer = accelerator, learner, optimizer
        self.clip_gradients = clip_gradients
        self.schedule, self.regime, self.adversary = schedule, regime, adversary
        self.inner: Learner = _unwrapped(accelerator, learner)

    @property
    def parts(self) -> dict[str, Stateful]:
        """Everything that a step depends on besides its number."""
        parts: dict[str, Stateful] = {"learner": self.inner, "optimizer": self.optimizer, "regime": self.regime}
        if self.accelerator.scaler is not None:
            # The scale of the loss in fp16 follows from the steps before.
            parts["scaler"] = self.accelerator.scaler
        return parts

    def __call__(self, step: int) -> dict[str, Tensor | float]:
        if self.compiled:  # CUDA graphs, where torch is to make them, keep what a step computes until the next begins
            torch.compiler.cudagraph_mark_step_begin()
        learning_rate = self.schedule.at(step)
        set_learning_rate(self.optimizer, learning_rate)
        batch = self.regime.batch(step, self.inner)
        views = batch.views.contiguous(memory_format=torch.channels_last)
        if self.adversary is None:
            output = self._passes(batch, views)
            losses = {"loss": output.loss.detach()}
        else:
            output, losses = self._adversarial_passes(self.adversary, views, batch)
        average_running_statistics(self.inner)  # before the regime asks, or a checkpoint keeps the main process's
        loss_scale = self._loss_scale()
        if self.clip_gradients is not None:
            self.accelerator.clip_grad_norm_(self.learner.parameters(), self.clip_gradients)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.inner.after_step((step + 1) / self.schedule.total_steps)
        # Not under autocast: a regime has backward passes of its own, which autocast would cast down.
        metrics = self.regime.feedback(step, batch, output, self.inner, loss_scale=loss_scale)
        return {**losses, "learning_rate": learning_rate, **metrics}

    def _loss_scale(self) -> Tensor | None:
        """(), what losses are multiplied by now, as a tensor of its own: `get_scale` would wait for the device, and the
        optimizer's step changes the scaler's in place. None where they are not, which is in all but fp16."""
        scaler = self.accelerator.scaler
        return None if scaler is None else scaler.scale(torch.ones((), device=self.accelerator.device))

    def _passes(self, batch: MultiViewedBatch, views: Tensor, weight: float = 1.0) -> LearnerOutput:
        """One forward and one backward pass of views of a batch, whose gradient adds to what is there."""
        with self.accelerator.autocast():
            output = batch.ask(self.learner, views)
        self.accelerator.backward(weight * output.loss)
        return output

    def _adversarial_passes(
        self, adversary: AdversarialViews, views: Tensor, batch: MultiViewedBatch
    ) -> tuple[LearnerOutput, dict[str, Tensor]]:
        """The passes of the clean views, then those of the real views moved against the learner (CLAE)."""
        watched = adversary.watch(views)
        # Processes exchange their gradients once, of both.
        with self.accelerator.no_sync(self.learner):
            output = self._passes(batch, watched)
        real = slice(batch.num_real)
        assert watched.grad is not None  # the pass above has given it
        moved = adversary(watched[real], watched.grad[real]).contiguous(memory_format=torch.channels_last)
        with self.inner.extra_pass():
            adversarial = self._passes(batch.real_part(), moved, adversary.weight)
        losses = {"loss": output.loss.detach(), "loss_adversarial": adversarial.loss.detach()}
        return output, losses


def _unwrapped(accelerator: Accelerator, learner: nn.Module) -> Learner:
    """The learner that what was prepared holds, whose state has the same names however many processes train it.

    Of a compiled learner that is distributed Accelerate takes off the outer layer alone."""
    inner = accelerator.unwrap_model(learner, keep_torch_compile=False)
    while (compiled := getattr(inner, "_orig_mod", None)) is not None:
        inner = compiled
    return inner
