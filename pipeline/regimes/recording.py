"""Recording what the learner sees in the online regime, so that it can be replayed or reused.

Shapes: m samples in this process, V = 1 or 2 images a sample, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...generators import Generator
from ...generators.fingerprint import fingerprint
from ...learners.base import LearnerOutput
from ...learners.collectives import gather
from ..configs.train import SHARDS_PER_WINDOW, TrainConfig
from ..generation.rendering import described
from ..options.config import default_of
from ..randomness import Key
from ..shards import ShardRecorder
from .base import MultiViewedBatch

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
    recipe = {"recorded": options, "generator": {"weights": weights}, "seed": config.seed}
    recorder = ShardRecorder(config.record, recipe, images_per_sample=2 if config.pairs else 1, columns=columns)
    return RunRecording(recorder, weights[:12], describe)


def sample_images(samples: Sequence[Tensor]) -> Tensor:
    """(m, V, 3, S, S) uint8 of V quantised tensors (m, 3, S, S) in [0, 1]: exactly what the learner's views show."""
    return torch.stack([images.detach().mul(255).round().to(torch.uint8) for images in samples], dim=1)


def sample_hardness(batch: MultiViewedBatch, output: LearnerOutput, views_per_sample: int) -> Tensor:
    """(m,) each sample's hardness, the mean over its views."""
    return output.hardness[batch.num_real :].unflatten(0, (-1, views_per_sample)).mean(dim=1)


def sample_similarity(batch: MultiViewedBatch, output: LearnerOutput, views_per_image: int) -> Tensor:
    """(m,) mean cosine similarity of the learner's embeddings across each pair."""
    embeddings = output.embeddings[batch.num_real :].float().unflatten(0, (-1, 2, views_per_image))
    return torch.einsum("mid,mjd->mij", embeddings[:, 0], embeddings[:, 1]).mean(dim=(1, 2))


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
        similarity: (m,), for pairs.
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
