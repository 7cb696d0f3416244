"""Recording what the learner sees of a generator, so that it can be replayed or reused: `online` and `fresh` do.

Shapes: m samples in this process, V images a sample, U views of an image, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...generators import Generator
from ...generators.fingerprint import fingerprint
from ...learners.base import LearnerOutput
from ...learners.collectives import gather
from ...learners.precision import at_least_float32, full_precision
from ..configs.train import SHARDS_PER_WINDOW, TrainConfig
from ..generation.rendering import described
from ..options.types import default_of
from ..randomness import Key
from ..runs.folder import AS_PRETRAINED
from ..runs.loop import Journal
from ..shards import ShardRecorder
from .assembly import ViewMaker
from .base import MultiViewedBatch, Regime

LATER = (
    "view_size",
    "local_views",
    "local_size",
    "layer_decay",
    "resize_samples",
    "classes",
    "prompts",
    "guidance_scale",
    "hard_guard",
    "guard_goes_back",
)
"""Options that recordings were made without once: at their defaults they do not belong to a recipe, so that a recording
of that time is gone on with."""


@dataclass(frozen=True)
class RunRecording:
    """What a run records into.

    Attributes:
        recorder: the main process's, open; None in the others, which send it their samples.
        generator: the name of the generator that the run began with.
        describe: what samples of latents (N, ...) are drawn for, by column; None where the generator has nothing to
            say of them. It may wait for the device.
    """

    recorder: ShardRecorder | None
    generator: str
    describe: Callable[[Tensor], dict[str, list[Any]]] | None = None


def open_recording(config: TrainConfig, generator: Generator, main_process: bool) -> RunRecording | None:
    """Where to record what a generator draws, if the options say so.

    Raises:
        UsageError: the folder holds another recording.
        DataError: the generator describes its samples by names that a shard set has no columns for.
    """
    if config.record is None:
        return None
    weights = fingerprint(generator)
    one = generator.sample_latents(1, draws=Key.from_seed(config.seed).at(torch.arange(1)))
    columns = tuple(described(generator, one))
    describe = partial(described, generator) if columns else None
    if not main_process:
        return RunRecording(None, weights[:12], describe)
    unchanging = {f.name for f in fields(config) if not f.metadata["option"].may_change}
    options = {name: value for name, value in config.to_dict().items() if name in unchanging - {"generator", "record"}}
    options["shards_per_window"] = SHARDS_PER_WINDOW  # which was its default when the first recipes were written
    del options["generator_precision"]  # `auto` says nothing yet
    if generator.computes_in != "fp32":  # which is what recordings without this entry were made in
        options["generator_precision"] = generator.computes_in
    for f in fields(config):
        if f.name in LATER and getattr(config, f.name) == default_of(f):
            del options[f.name]
    if not config.online or config.discriminator_augment == AS_PRETRAINED:  # likewise: as it was then
        del options["discriminator_augment"]
    recipe = {"recorded": options, "generator": {"weights": weights}, "seed": config.seed}
    recorder = ShardRecorder(config.record, recipe, images_per_sample=config.group_size, columns=columns)
    return RunRecording(recorder, weights[:12], describe)


def sample_images(samples: Sequence[Tensor]) -> Tensor:
    """(m, V, 3, S, S) uint8 of V quantised tensors (m, 3, S, S) in [0, 1]: exactly what the learner's views show."""
    return torch.stack([images.detach().mul(255).round().to(torch.uint8) for images in samples], dim=1)


def sample_hardness(batch: MultiViewedBatch, output: LearnerOutput, views_per_sample: int) -> Tensor:
    """(m,) each sample's hardness, the mean over its views."""
    return output.hardness[batch.num_real :].unflatten(0, (-1, views_per_sample)).mean(dim=1)


def sample_similarity(
    batch: MultiViewedBatch, output: LearnerOutput, views_per_image: int, images_per_sample: int = 2
) -> Tensor:
    """(m,) mean cosine similarity of the learner's embeddings across the pairs of each sample's V images, V >= 2, in at
    least float32."""
    seen = output.embeddings[batch.num_real :]
    with full_precision(seen):
        embeddings = at_least_float32(seen).unflatten(0, (-1, images_per_sample, views_per_image))
        found = []
        for apart in range(1, images_per_sample):  # image v with image v + apart
            one, other = embeddings[:, :-apart].flatten(0, 1), embeddings[:, apart:].flatten(0, 1)
            cosines = torch.einsum("mid,mjd->mij", one, other).mean(dim=(1, 2))
            found.append(cosines.unflatten(0, (-1, images_per_sample - apart)))
        return torch.cat(found, dim=1).mean(dim=1)


def record(
    recording: RunRecording,
    step: int,
    samples: Sequence[Tensor],
    latents: Tensor,
    hardness: Tensor,
    similarity: Tensor | None,
    generator: str,
) -> None:
    """Append a step's samples of all processes; those without a recorder only send theirs.

    Args:
        recording: where to.
        step: counted from 0.
        samples: V quantised tensors (m, 3, S, S) in [0, 1].
        latents: (m, ...), what the samples were drawn of.
        hardness: (m,).
        similarity: (m,), where a sample has several images.
        generator: what drew them.
    """
    images, hardness = gather(sample_images(samples)), gather(hardness)
    similarity = gather(similarity) if similarity is not None else None
    # The recorder's thread asks what latents say: reading them back here would have the step wait for the device.
    conditions = partial(recording.describe, gather(latents)) if recording.describe is not None else None
    if recording.recorder is not None:
        recording.recorder.append(
            step,
            images,
            hardness=hardness,
            pair_similarity=similarity,
            generator=generator,
            conditions=conditions,
        )


@dataclass(frozen=True, kw_only=True)
class DrawnBatch(MultiViewedBatch):
    """A batch with what its synthetic views were made of.

    Attributes:
        latents: (m, ...).
        samples: V times (m, 3, S, S) in [0, 1], quantised: what the learner sees.
    """

    latents: Tensor
    samples: list[Tensor]


class RecordedRegime(Regime):
    """A regime that draws from a generator at each step, and records it where it is asked to.

    Attributes:
        recording: where to; None to record nothing.
        views: makes the views.
        group_size: images of each latent, V.
    """

    recording: RunRecording | None
    views: ViewMaker
    group_size: int

    def record_step(self, step: int, batch: DrawnBatch, output: LearnerOutput, num_updates: int | None = None) -> None:
        """Append a step's samples, if they are recorded.

        Args:
            step: counted from 0.
            batch: of the step.
            output: what the learner made of it.
            num_updates: how often the generator has been updated since the run began, of one that learns.
        """
        if self.recording is None:
            return
        hardness, similarity = sample_hardness(batch, output, self.views_per_sample), None
        if self.group_size > 1:
            similarity = sample_similarity(batch, output, self.views.num_views, self.group_size)
        name = self.recording.generator if num_updates is None else f"{self.recording.generator}+{num_updates}"
        record(self.recording, step, batch.samples, batch.latents, hardness, similarity, name)

    @property
    def views_per_sample(self) -> int:
        """Views of a latent: those of each of its images, V U."""
        return self.views.num_views * self.group_size

    @property
    def recorder(self) -> ShardRecorder | None:
        """What this process writes the run's samples with, if they are recorded."""
        return self.recording.recorder if self.recording is not None else None

    @property
    def journals(self) -> list[Journal]:
        return [self.recorder] if self.recorder is not None else []

    @contextmanager
    def open(self) -> Iterator[None]:
        with self.recorder if self.recorder is not None else nullcontext():
            yield

    def save(self, folder: Path) -> None:
        """Complete the recording; see `Regime.save`."""
        if self.recorder is not None:
            self.recorder.finish()
