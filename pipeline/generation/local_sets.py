"""A shard set, or a part of it, by this process and those that Accelerate launched with it."""

from __future__ import annotations

from ..configs.generate import GenerateConfig
from ..progress.line import Progress
from ..runtime.distributed import create_accelerator
from ..runtime.signals import stop_signals
from ..shards import ShardSetInfo, write_shard_set
from .samples import open_samples


def write_here(config: GenerateConfig) -> ShardSetInfo:
    """Write this process's part of the set.

    Raises:
        Stopped: a scheduler's signal came. Shards that are finished stay.
    """
    accelerator = create_accelerator("fp32")
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
