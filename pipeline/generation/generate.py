"""`synthcl generate`: a shard set whose samples are a function of (weights, recipe, index), by one of the executors.

Torch is loaded by what draws: here, in the workers of a cluster, or in the jobs of Slurm.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..configs.generate import GenerateConfig
from ..options.config import takes_options
from ..shards.writable import open_writable
from .locating import locate_generator

if TYPE_CHECKING:
    from ..shards.status import ShardSetInfo
    from .rendering import Samples


@takes_options(GenerateConfig)
def generate(config: GenerateConfig) -> dict[str, Any]:
    """Write a shard set or this process's part of one, find it done, or have Slurm write it; see `synthcl generate`.

    Sample i is drawn from (seed, i) alone, so any number of processes, jobs and workers, and any number of
    interruptions, come to the same set.

    Returns:
        `out`, `num_samples`, `num_published`, `num_shards`, `bytes`, `complete`, `reused`, `written` and
        `existing` (samples of this process's part that are new, and that were there before), `recipe_hash`, `seconds`;
        with --executor slurm what `submit_generation` returns.
    """
    open_writable(config.out)  # a URL that cannot be opened is told before anything is loaded
    if config.executor == "slurm":
        from .slurm import submit_generation

        locate_generator(config.generator)  # wrong ones are told now, and not by every job
        return submit_generation(config)
    started = time.monotonic()
    info = _write(config)
    return {
        "out": str(info.path),
        "num_samples": info.num_samples,
        "num_published": info.num_published,
        "num_shards": info.num_shards,
        "bytes": info.size,
        "complete": info.complete,
        "reused": info.reused,
        "written": info.written,
        "existing": info.existing,
        "recipe_hash": info.recipe_hash,
        "seconds": round(time.monotonic() - started, 2),
    }


def _write(config: GenerateConfig) -> ShardSetInfo:
    """Have the set written by workers of a Ray cluster, or write this process's part of it."""
    if config.executor == "ray":
        from .ray_sets import write_on_ray

        return write_on_ray(config, _open_in_worker)
    from .local_sets import write_here

    return write_here(config)


def _open_in_worker(config: GenerateConfig) -> Samples:
    """What a worker of a cluster draws from, on its own device."""
    from ..runtime.distributed import create_accelerator
    from .samples import open_samples

    return open_samples(config, create_accelerator("fp32").device)
