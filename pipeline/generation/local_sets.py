"""A shard set, or a part of it, by this process and those that Accelerate launched with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelerate import Accelerator

from ..configs.generate import GenerateConfig
from ..progress.line import Progress
from ..runtime.distributed import create_accelerator, meeting_when_done
from ..runtime.signals import stop_signals
from ..runtime.srun import leave_step
from ..shards import ShardSetInfo, write_shard_set
from .samples import open_samples


def write_here(config: GenerateConfig) -> ShardSetInfo:
    """Write this job's part of the set; of several processes each writes a part of that, and waits for the others.

    Each task of a Slurm step is a job of its own.

    Returns:
        What the set is when the last process is done; `written` and `existing` are those of all processes.

    Raises:
        Stopped: a scheduler's signal came. Shards that are finished stay.
    """
    leave_step()
    accelerator = create_accelerator("fp32")
    with meeting_when_done() as gather:
        return _together(gather(_write_part(config, accelerator)))


def _together(parts: Sequence[ShardSetInfo]) -> ShardSetInfo:
    """What the set is, by what each process has found when it was done."""
    last = max(parts, key=lambda part: (part.complete, part.num_published))
    return replace(
        last,
        written=sum(part.written for part in parts),
        existing=sum(part.existing for part in parts),
        reused=all(part.reused for part in parts),
    )


def _write_part(config: GenerateConfig, accelerator: Accelerator) -> ShardSetInfo:
    """Write this process's part of the set."""
    samples = open_samples(config, accelerator.device)
    # Not while packages are loaded, some of which take any error for a package that is missing.
    with (
        stop_signals(),
        Progress("generate", samples.num_samples, "samples", enabled=accelerator.is_main_process) as progress,
    ):
        return write_shard_set(
            config.out,
            samples.recipe,
            samples.num_samples,
            config.samples_per_shard,
            samples.render,
            images_per_sample=config.group_size,
            describe=samples.describe,
            labels=samples.labels,
            image_format=config.format,
            quality=config.quality,
            batch_size=config.batch_size,
            process_index=config.job_index * accelerator.num_processes + accelerator.process_index,
            num_processes=config.num_jobs * accelerator.num_processes,
            workers=config.workers,
            progress=lambda done, total: progress.update(done, total),
        )
