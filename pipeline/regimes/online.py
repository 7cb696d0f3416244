"""Joint sample generation and contrastive learning (Wu et al., arXiv 2202.06464), the method's figure.

Each step draws latents z. The learner sees two views of G(z) and two of G_ema(z), all four mutual positives, beside
the real views, and takes one forward and one backward pass. At G(z) the gradient of its loss is reversed, so that the
same pass tells the generator how to make its samples harder; the discriminator's fakes are the same G(z).

Shapes: M latents a step over all processes, m in this process, S pixels a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...generators.base import GeneratorTrainer
from ...learners.base import LearnerOutput
from ..generation import save_generator
from ..loop import Journal
from ..randomness import Key
from .assembly import VIEWS_PER_IMAGE, RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Regime, Share, hardness_metrics, unit_interval
from .gradients import quantize, reverse_gradient
from .recording import RunRecording, record, sample_hardness, sample_similarity
from .similarity import SimilarityTarget

SNAPSHOT_SAMPLES = 32
"""Latents in a snapshot. Ours."""


@dataclass(kw_only=True)
class OnlineOptions:
    """The switches of the method; each is an ablation.

    Attributes:
        hard: G receives the reversed gradient of the learner's loss; without it G follows its own loss alone.
        pairs: two views of G_ema(z) beside the two of G(z).
        hard_weight: weight of the reversed gradient after the ramp.
        ramp_steps: steps over which that weight rises linearly from 0.
        similarity: a target for the similarity of pairs, or None to let it be.
    """

    hard: bool = True
    pairs: bool = True
    hard_weight: float = 1.0
    ramp_steps: int = 0
    similarity: SimilarityTarget | None = None

    def weight(self, step: int) -> float:
        """The weight of the reversed gradient at step `step`."""
        if not self.hard:
            return 0.0
        return self.hard_weight * min(1.0, step / self.ramp_steps if self.ramp_steps else 1.0)


def online_key(key: Key) -> Key:
    """What the latents of a run are drawn from: the child of a step for its samples, and that of `snapshot`."""
    return key.child("online")


class OnlineRegime(Regime):
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
    ) -> None:
        self.recording = recording
        self.real, self.views, self.trainer, self.share, self.options = real, views, trainer, share, options
        self.samples_per_step = share.total
        self.key = online_key(key)

    def batch(self, step: int) -> MultiViewedBatch:
        device = self.real.device
        numbers = self.share.numbers(device)
        draws = self.key.child(step).at(numbers)
        real = self.real.images(step)
        latents = self.trainer.generator.sample_latents(len(numbers), draws=draws)
        images = self.trainer.generator(latents)
        # The learner's graph ends at a leaf: its gradient is handed to the generator's own step, which goes back
        # through G once, with its realism gradient added.
        leaf = images.detach().requires_grad_(self.options.hard)
        samples = [quantize(unit_interval(reverse_gradient(leaf, self.options.weight(step))))]
        if self.options.pairs:
            with torch.no_grad():
                samples.append(quantize(unit_interval(self.trainer.ema(latents))))
        self.pending = _Pending(real, draws, images, leaf, samples)
        return assemble(self.real, self.views, self.share, step, real, samples)

    def feedback(
        self, step: int, batch: MultiViewedBatch, output: LearnerOutput, *, loss_scale: float = 1.0
    ) -> dict[str, Tensor]:
        pending = self.pending
        del self.pending
        metrics = hardness_metrics(batch, output) | self._similarity(batch, output)
        self._record(step, batch, output, pending.samples)
        if self.options.similarity is not None:
            self.trainer.ema_decay = self.options.similarity.decay(step, metrics["pair_similarity"])
        # The discriminator compares each sample with one real image, spread evenly over the step's, so that each
        # process finds its samples' among its own; with more samples than images they come again.
        count, available = len(pending.images), len(pending.real)
        partners = torch.arange(count, device=pending.real.device) * available // count
        metrics |= self.trainer.step(
            pending.real[partners] * 2 - 1,
            pending.draws,
            images=pending.images,
            hard_gradient=_unscaled(pending.leaf.grad, loss_scale) if self.options.hard else None,
        )
        return metrics | {"hard_weight": torch.tensor(self.options.weight(step))}

    def _similarity(self, batch: MultiViewedBatch, output: LearnerOutput) -> dict[str, Tensor]:
        """Mean cosine similarity of the learner's embeddings between two views of one image, and across a pair."""
        real = output.embeddings[: batch.num_real].unflatten(0, (-1, VIEWS_PER_IMAGE)).float()
        fake = output.embeddings[batch.num_real :].unflatten(0, (-1, self.views_per_sample)).float()
        metrics = {
            "view_similarity_real": (real[:, 0] * real[:, 1]).sum(-1).mean(),
            "view_similarity_synthetic": (fake[:, 0] * fake[:, 1]).sum(-1).mean(),
        }
        if self.options.pairs:
            metrics["pair_similarity"] = sample_similarity(batch, output).mean()
        return metrics

    def _record(self, step: int, batch: MultiViewedBatch, output: LearnerOutput, samples: list[Tensor]) -> None:
        if self.recording is None:
            return
        hardness = sample_hardness(batch, output, self.views_per_sample)
        similarity = sample_similarity(batch, output) if self.options.pairs else None
        record(self.recording.recorder, step, samples, hardness, similarity, f"{self.recording.generator}+{step}")

    @property
    def views_per_sample(self) -> int:
        """Views of a latent: two of each of its images."""
        return VIEWS_PER_IMAGE * (2 if self.options.pairs else 1)

    @property
    def journals(self) -> list[Journal]:
        recorder = self.recording.recorder if self.recording is not None else None
        return [recorder] if recorder is not None else []

    @torch.no_grad()
    def snapshot(self) -> tuple[Tensor, Tensor]:
        draws = self.key.child("snapshot").at(torch.arange(SNAPSHOT_SAMPLES, device=self.real.device))
        latents = self.trainer.generator.sample_latents(SNAPSHOT_SAMPLES, draws=draws)
        return self.trainer.generator(latents), self.trainer.ema(latents)

    def save(self, folder: Path) -> None:
        save_generator(self.trainer, folder)
        for recorder in self.journals:
            recorder.finish()

    def state_dict(self) -> dict[str, Any]:
        similarity = self.options.similarity
        return {
            "trainer": self.trainer.state_dict(),
            "similarity": similarity.state_dict() if similarity is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        if self.options.similarity is not None:
            self.options.similarity.load_state_dict(state["similarity"])


@dataclass(frozen=True)
class _Pending:
    """What a step keeps between its batch and its feedback."""

    real: Tensor  # (b, 3, S, S) in [0, 1]
    draws: Any
    images: Tensor  # (m, 3, S, S) in [-1, 1], with G's graph
    leaf: Tensor  # the same, detached; its .grad is the learner's reversed gradient
    samples: list[Tensor]  # V times (m, 3, S, S) in [0, 1], quantised: what the learner sees


def _unscaled(gradient: Tensor, loss_scale: float) -> Tensor:
    """The gradient of the loss itself. Where the scaled one has overflowed, in fp16, the learner's update is skipped,
    and so is the generator's part of it."""
    if loss_scale == 1.0:
        return gradient
    return torch.where(torch.isfinite(gradient).all(), gradient / loss_scale, torch.zeros_like(gradient))
