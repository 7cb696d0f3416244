"""New samples at each step from a generator that stays as it is: the control between `offline` and `online`.

`fresh - offline` is what new samples are worth beside a finite set, and `online - fresh` what the joint training is.

Shapes: M latents a step over all processes, m in this process, S pixels a side.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...generators.base import Draws, Generator
from ...generators.fingerprint import fingerprint
from ...learners.base import Learner, LearnerOutput
from ..errors import UsageError
from ..generation.opening import generator_options, open_generator
from ..randomness import Key
from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Share, as_samples, check_generator_size, generator_facts
from .recording import DrawnBatch, RecordedRegime, RunRecording, open_recording
from .sample_labels import LabelsOfLatents, labels_of_drawing
from .setup import RegimeSetup

PAIR_STRENGTH = 0.3
"""How far apart the latents of a pair are, as in `synthcl generate --pairs`. Ours."""


def samples_key(key: Key) -> Key:
    """What the latents of a run are drawn from: the child of a step for its samples.

    `fresh` and `online` draw the same latents, so that the two differ in the generator alone; hence the name. Not so
    where the generator is a `DDPMPipeline` or `DDIMPipeline` of others: its own scheduler draws in `fresh`, a solver
    that carries a gradient in `online`, and each takes latents of another kind. `generator_facts` tell that.
    """
    return key.child("online")


class FreshRegime(RecordedRegime):
    """Real images, and samples of a frozen generator.

    Args:
        real: the source of the real images.
        views: makes the views.
        generator: stays as it is.
        share: which of a step's samples are this process's.
        key: the run's.
        group_size: images of each latent, V.
        pair_strength: how far the others are from the first (see `Generator.neighbours`); None for single images.
        recording: where its samples are recorded, if they are.
        labels: gives those of samples; unknown if not given.
    """

    def __init__(
        self,
        real: RealImages,
        views: ViewMaker,
        generator: Generator,
        share: Share,
        key: Key,
        group_size: int,
        pair_strength: float | None,
        recording: RunRecording | None = None,
        labels: LabelsOfLatents | None = None,
    ) -> None:
        self.recording, self.labels = recording, labels
        self.real, self.views, self.generator, self.share = real, views, generator, share
        self.group_size, self.pair_strength = group_size, pair_strength
        self.samples_per_step = share.total
        self.key = samples_key(key)

    @property
    def facts(self) -> dict[str, Any]:
        """See `generator_facts`."""
        return generator_facts(self.generator, self.generator_hash)

    @cached_property
    def generator_hash(self) -> str:
        """Of its weights, which stay as they are; a large pipeline takes seconds."""
        return fingerprint(self.generator)

    @property
    def made_of(self) -> dict[str, str]:
        return {"generator": f"weights {self.generator_hash[:16]}"}

    def batch(self, step: int, learner: Learner) -> DrawnBatch:
        draws = self.key.child(step).at(self.share.numbers(self.real.device), step * self.share.total)
        latents, drawn = self._draw(draws)
        samples = [as_samples(images, self.real.store.image_size) for images in drawn]
        labels = None if self.labels is None else self.labels(latents)
        batch = assemble(self.real, self.views, self.share, step, self.real.images(step), samples, labels)
        return DrawnBatch(**vars(batch), latents=latents, samples=samples)

    def feedback(
        self,
        step: int,
        batch: MultiViewedBatch,
        output: LearnerOutput,
        learner: Learner,
        *,
        loss_scale: Tensor | None = None,
    ) -> dict[str, Tensor]:
        assert isinstance(batch, DrawnBatch)
        self.record_step(step, batch, output)
        return super().feedback(step, batch, output, learner, loss_scale=loss_scale)

    @torch.no_grad()
    def _draw(self, draws: Draws) -> tuple[Tensor, list[Tensor]]:
        """Latents (m, ...), and V tensors (m, 3, H, W) in [-1, 1], of the generator's own size."""
        latents = self.generator.sample_latents(len(draws), draws=draws)
        if self.group_size == 1:
            return latents, [self.generator(latents)]
        return latents, self.generator.forward_group(latents, self.group_size, self.pair_strength, draws)


def build(setup: RegimeSetup) -> FreshRegime:
    """See `build_regime`.

    Raises:
        UsageError: a generator of another image size that is not to be resized, that cannot make pairs, or that draws
            for no classes where those are asked for.
    """
    config = setup.config
    generator = open_generator(
        config.source, setup.accelerator.device, config.generator_precision, **config.sampling_options()
    )
    check_generator_size(
        config.source, generator.image_size, setup.real.store.image_size, resizes=config.resize_samples
    )
    strength = None
    if config.pairs:
        strength = config.pair_strength if config.pair_strength is not None else PAIR_STRENGTH
        if strength == 0:
            raise UsageError(
                "--pair-strength 0 makes both images of a pair the same one in the regime fresh; give more than 0, or "
                "--no-pairs"
            )
        with generator_options():
            generator.check_group(strength)
    recording = open_recording(config, generator, setup.accelerator.is_main_process)
    return FreshRegime(
        setup.real,
        setup.views,
        generator,
        setup.synthetic_share(),
        setup.key,
        config.group_size,
        strength,
        recording,
        labels_of_drawing(config, generator, setup.real.store),
    )
