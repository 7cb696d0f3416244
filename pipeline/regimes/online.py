"""Joint sample generation and contrastive learning (Wu et al., arXiv 2202.06464), the method's figure.

Each step draws latents z. The learner sees two views of G(z) and two of G_ema(z), all four mutual positives, beside
the real views. At G(z) a gradient of the learner, reversed, tells the generator how to make its samples harder; the
discriminator's fakes are the same G(z).

Shapes: M latents a step over all processes, m in this process, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...generators import Generator, GeneratorTrainer
from ...generators.base import Draws
from ...generators.fingerprint import fingerprint, fingerprint_of
from ...learners.base import Learner, LearnerOutput
from ...learners.collectives import gather
from ..errors import UsageError
from ..generation.opening import save_generator
from ..randomness import Key
from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Share, as_samples, generator_facts, hardness_metrics
from .counterparts import Counterparts, open_counterparts
from .fresh import samples_key
from .gradients import reverse_gradient, unscaled
from .guard import HardGuard, LastGood
from .hardness import excess_hardness, hard_gradient, part_of_a_latent, without_common_part
from .joint_trainer import open_trainer
from .online_options import OnlineOptions, online_options
from .recording import DrawnBatch, RecordedRegime, RunRecording, open_recording, sample_similarity
from .sample_labels import LabelsOfLatents, labels_of_drawing
from .setup import RegimeSetup

SNAPSHOT_SAMPLES = 32
"""Latents in a snapshot. Ours."""


@dataclass(frozen=True, kw_only=True)
class OnlineBatch(DrawnBatch):
    """What a step keeps beside its views until the learner has answered.

    Attributes:
        real: (b, 3, S, S) in [0, 1].
        draws: of this process's latents.
        images: (m, 3, H, W) in [-1, 1], G(z) with G's graph, of G's own size.
        leaf: the same, detached; its gradient is the learner's, reversed, where that is asked for.
    """

    real: Tensor
    draws: Draws
    images: Tensor
    leaf: Tensor


class OnlineRegime(RecordedRegime):
    """Real images, and samples of a generator that learns along."""

    def __init__(
        self,
        real: RealImages,
        views: ViewMaker,
        trainer: GeneratorTrainer,
        share: Share,
        key: Key,
        options: OnlineOptions,
        recording: RunRecording | None = None,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        counterparts: Counterparts | None = None,
        labels: LabelsOfLatents | None = None,
    ) -> None:
        self.recording, self.autocast, self.labels = recording, autocast, labels
        self.real, self.views, self.trainer, self.share, self.options = real, views, trainer, share, options
        self.counterparts = counterparts or Counterparts.create(real, share, trainer.generator.image_size)
        self.samples_per_step = share.total
        self.group_size = 2 if options.pairs else 1
        self.key = samples_key(key)
        self.guard = HardGuard(real.device)
        self.last_good = LastGood(trainer, real.device) if options.goes_back else None
        # As it begins: the average is what `generate` and `fresh` draw from, once adapters are taken out again.
        self.hash_in_training = fingerprint(trainer.ema)
        origin = trainer.origin
        self.generator_hash = self.hash_in_training if origin is None else fingerprint_of(*origin)

    def batch(self, step: int, learner: Learner) -> OnlineBatch:
        device = self.real.device
        numbers = self.share.numbers(device)
        draws = self.key.child(step).at(numbers, step * self.share.total)
        real = self.real.images(step)
        latents = self.trainer.generator.sample_latents(len(numbers), draws=draws)
        if self.options.moves_latents(step):
            latents = self.harder(step, latents, draws, real, learner)
        images = self.trainer.generator(latents)
        # The learner's graph ends at a leaf: its gradient is handed to the generator's own step, which goes back
        # through G once, with its realism gradient added.
        shared = self.options.objective == "loss" and self.options.moves_weights(step)
        leaf = images.detach().requires_grad_(shared)
        samples = [self._samples(reverse_gradient(leaf, 1.0))]
        if self.options.pairs:
            samples.append(self._samples(self._partners(latents, draws)))
        batch = self._assemble(step, real, latents, samples)
        return OnlineBatch(
            **vars(batch), real=real, draws=draws, latents=latents, images=images, leaf=leaf, samples=samples
        )

    def _assemble(self, step: int, real: Tensor, latents: Tensor, samples: list[Tensor]) -> MultiViewedBatch:
        labels = None if self.labels is None else self.labels(latents)
        return assemble(self.real, self.views, self.share, step, real, samples, labels)

    def _samples(self, images: Tensor) -> Tensor:
        """What the learner sees of the generator's images."""
        return as_samples(images, self.real.store.image_size)

    def harder(self, step: int, latents: Tensor, draws: Draws, real: Tensor, learner: Learner) -> Tensor:
        """Latents (m, ...) moved towards samples that are harder for the learner, on G's range and without its weights.

        `z + r |z| g / |g|`, brought back to the length of z, on which G was trained: g is the gradient of the objective
        at z, and r the radius. An adversary in latent space; the radius and the return to the length are ours.
        """
        leaf = latents.detach().requires_grad_()
        images = self.trainer.generator(leaf)
        samples = [self._samples(images)]
        if self.options.pairs:
            samples.append(self._samples(self._partners(latents, draws)))
        batch = self._assemble(step, real, latents, samples)
        views = batch.views.contiguous(memory_format=torch.channels_last)
        with learner.extra_pass():
            with self.autocast():
                output = batch.ask(learner, views)
            if self.options.objective == "loss":
                (gradient,) = torch.autograd.grad(output.loss, leaf)
            else:
                at_images = self._own_gradient(step, images, batch, output, learner)
                (gradient,) = torch.autograd.grad(images, leaf, -at_images)
        radius = self.options.radius_at(step) * self.guard.factor
        lengths = _norms(latents)
        direction = gradient / _norms(gradient).clamp(min=torch.finfo(gradient.dtype).tiny)
        moved = latents + radius * lengths * direction
        return moved * (lengths / _norms(moved))

    def _own_gradient(
        self, step: int, images: Tensor, batch: MultiViewedBatch, output: LearnerOutput, learner: Learner
    ) -> Tensor:
        """`hard_gradient` at G(z), of the views that the step has of it."""

        def make_views(images: Tensor) -> Tensor:
            numbers = self.real.share.total + self.share.numbers(images.device)
            return self.views(self._samples(images), numbers, step)

        return hard_gradient(self.options.objective, images, make_views, learner, batch, output, self.autocast)

    @torch.no_grad()
    def _partners(self, latents: Tensor, draws: Draws) -> Tensor:
        """G_ema's image of each latent, or of one near it."""
        strength = self.options.pair_strength
        if strength == 0:
            return self.trainer.ema(latents)
        return self.trainer.ema.neighbours(latents, 1, strength, draws)[0]

    def feedback(
        self,
        step: int,
        batch: MultiViewedBatch,
        output: LearnerOutput,
        learner: Learner,
        *,
        loss_scale: Tensor | None = None,
    ) -> dict[str, Tensor]:
        assert isinstance(batch, OnlineBatch)
        metrics = hardness_metrics(batch, output) | self._similarity(batch, output) | _colours(batch)
        self.record_step(step, batch, output, num_updates=step)
        if self.options.similarity is not None:
            self.trainer.ema_decay = self.options.similarity.decay(step, metrics["pair_similarity"])
        hard, told = self._hard_gradient(step, batch, output, learner, loss_scale)
        trained = self.trainer.step(
            self.counterparts.images(step, batch.real),
            batch.draws,
            images=batch.images,
            hard_gradient=hard,
            hard_bound=self.options.bound_at(step) * self.guard.factor,
            bound_on=self.options.bound_on,
        )
        if self.options.hard and self.options.guard:
            told |= self.guard.observe(trained.get("margin"), metrics.get("colour_spread"))
        return metrics | told | trained

    def _hard_gradient(
        self, step: int, batch: OnlineBatch, output: LearnerOutput, learner: Learner, loss_scale: Tensor | None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What G is to descend besides its own loss, (m, 3, S, S), of the mean over latents; None where nothing is."""
        options = self.options
        if not options.moves_weights(step):
            return None, {}
        metrics = {}
        if options.objective == "loss":
            assert batch.leaf.grad is not None  # the learner's backward pass has given it
            gradient = unscaled(batch.leaf.grad, loss_scale) / part_of_a_latent(batch, len(batch.images), learner)
        else:
            gradient = self._own_gradient(step, batch.images, batch, output, learner)
        counted = None
        if options.gate is not None:
            excess = excess_hardness(batch, output, len(batch.images), self.views.num_views, learner.least_loss)
            counted = excess <= options.gate
            metrics["hard_gate_open"] = counted.float().mean()
        if options.pair_floor is not None:
            near = sample_similarity(batch, output, self.views.num_views) >= options.pair_floor
            counted = near if counted is None else counted & near
            metrics["hard_pairs_near"] = near.float().mean()
        if options.centred:
            gradient = without_common_part(gradient, counted)
        elif counted is not None:
            gradient = gradient * counted[:, None, None, None]
        return gradient * (self.guard.factor * options.weight / len(batch.images)), metrics

    def _similarity(self, batch: MultiViewedBatch, output: LearnerOutput) -> dict[str, Tensor]:
        """Mean cosine similarity of the learner's embeddings between two views of one image, and across a pair."""
        real = output.embeddings[: batch.num_real].unflatten(0, (-1, self.views.num_views)).float()
        fake = output.embeddings[batch.num_real :].unflatten(0, (-1, self.views_per_sample)).float()
        metrics = {
            "view_similarity_real": (real[:, 0] * real[:, 1]).sum(-1).mean(),
            "view_similarity_synthetic": (fake[:, 0] * fake[:, 1]).sum(-1).mean(),
        }
        if self.options.pairs:
            metrics["pair_similarity"] = sample_similarity(batch, output, self.views.num_views).mean()
        return metrics

    @contextmanager
    def open(self) -> Iterator[None]:
        with self.counterparts.reading_ahead(), super().open():
            yield

    @property
    def trained_generator(self) -> Generator:
        return self.trainer.generator

    def measured(self, numbers: dict[str, float]) -> dict[str, float]:
        told = self.guard.measured(numbers["frechet_distance"], numbers["frechet_distance_real"])
        return told if self.last_good is None else told | self.last_good.after_measurement(self.guard)

    @torch.no_grad()
    def snapshot(self) -> tuple[Tensor, Tensor]:
        draws = self.key.child("snapshot").at(torch.arange(SNAPSHOT_SAMPLES, device=self.real.device))
        latents = self.trainer.generator.sample_latents(SNAPSHOT_SAMPLES, draws=draws)
        return self.trainer.generator(latents), self._partners(latents, draws)

    @property
    def facts(self) -> dict[str, Any]:
        """`generator_hash`; `generator_hash_in_training`, where adapters or a class for training change it, which is
        what recordings of the run know; and `generator_training`: the options that the generator was trained with,
        those of its pretraining included. Others as in `generator_facts`."""
        facts = generator_facts(self.trainer.generator, self.generator_hash)
        if self.hash_in_training != self.generator_hash:
            facts["generator_hash_in_training"] = self.hash_in_training
        return {"generator_training": self.trainer.options, **facts}

    @property
    def made_of(self) -> dict[str, str]:
        return {"generator": f"weights {self.hash_in_training[:16]}"}  # which runs begun earlier have recorded

    def save(self, folder: Path) -> None:
        save_generator(self.trainer, folder)
        super().save(folder)

    def state_dict(self) -> dict[str, Any]:
        similarity = self.options.similarity
        return {
            "trainer": self.trainer.state_dict(),
            "similarity": similarity.state_dict() if similarity is not None else None,
            "guard": self.guard.state_dict(),
            "last_good": self.last_good.state_dict() if self.last_good is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        self.guard.load_state_dict(state["guard"])
        if self.last_good is not None and state.get("last_good") is not None:  # runs begun earlier have none
            self.last_good.load_state_dict(state["last_good"])
        if self.options.similarity is not None:
            self.options.similarity.load_state_dict(state["similarity"])


def _colours(batch: OnlineBatch) -> dict[str, Tensor]:
    """How much the samples' mean colours vary, over how much those of real images do: near 0, G has one tint.

    Over all processes together. Of one sample, or one real image, there is nothing to tell."""
    colours = [gather(images.mean(dim=(2, 3))) for images in (batch.samples[0].detach(), batch.real)]
    if min(len(each) for each in colours) < 2:
        return {}
    spreads = [each.std(dim=0).mean() for each in colours]
    return {"colour_spread": spreads[0] / spreads[1].clamp(min=torch.finfo(spreads[1].dtype).tiny)}


def _norms(latents: Tensor) -> Tensor:
    """The length of each of m latents (m, ...), to be multiplied with them."""
    return torch.linalg.vector_norm(latents, dim=tuple(range(1, latents.dim())), keepdim=True)


def build(setup: RegimeSetup) -> OnlineRegime:
    """See `build_regime`.

    Raises:
        UsageError: a generator that does not learn, of another image size that is not to be resized, or that draws for
            no classes where those are asked for; one latent a step, whose whole gradient is the common part.
    """
    config = setup.config
    trainer = open_trainer(setup)
    share = setup.synthetic_share()
    if share.total == 1 and config.hard and config.hard_on == "weights" and config.hard_centred:
        raise UsageError(
            "--hard-centred takes off all that the learner asks of a step's one latent; raise --synthetic-ratio or "
            "--batch-size, or give --no-hard-centred"
        )
    counterparts = open_counterparts(setup, share, trainer.generator.image_size)
    return OnlineRegime(
        setup.real,
        setup.views,
        trainer,
        share,
        setup.key,
        online_options(config, setup.total_steps),
        open_recording(config, trainer.generator, setup.accelerator.is_main_process),
        setup.accelerator.autocast,
        counterparts,
        labels_of_drawing(config, trainer.generator, setup.real.store),
    )
