"""A shard set on a Ray cluster: each worker keeps the generator and writes the shards that it is given.

All shards are written under temporary names that no other worker has, and are published whole, as for any other writer
(shards/publish.py). So a shard that two workers write, because one was thought lost, is the same shard. This process
holds part 0 of the set while workers write it, and they hold the others, so that a second command is refused.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..cluster.ray_pool import RayPool
from ..cluster.worker import enter_node
from ..configs.generate import GenerateConfig
from ..errors import DataError
from ..progress.line import Progress
from ..shards.layout import MANIFEST, num_shards, shard_name
from ..shards.manifest import Manifest, read_manifest
from ..shards.network import is_url
from ..shards.publish import PartLock, disk_errors
from ..shards.status import ShardSetInfo, complete_set, set_info
from ..shards.writable import WritableSet, open_writable
from ..shards.writing.encoder_pool import EncoderPool
from ..shards.writing.set_writer import (
    begin_set,
    check_same_set,
    encoding_of,
    finished_set,
    missing_shards,
    plan_set,
    write_shards,
)

if TYPE_CHECKING:
    from .rendering import Samples

SHOWN_SECONDS = 60.0
"""How long a network file system may take to show one node what another has written. Ours: what NFS caches at most."""
LOST_SECONDS = 20.0
"""How long the command waits for workers on lost nodes to end, so that it can remove what they left. Ours."""
POLL_SECONDS = 0.5
"""Between two looks at what is waited for. Ours."""
SHARED = "with --executor ray, --out must be on a file system that all nodes share, under the same path"


class ShardWorker:
    """Writes shards of a set, in an actor; see `cluster.worker.Worker`.

    Args:
        config: the options.
        open_samples: opens what is drawn from.
        folder: the one that relative paths in the options start from.
        encoders: processes that encode images.
        gpu: whether it may use one.
    """

    def __init__(
        self,
        config: GenerateConfig,
        open_samples: Callable[[GenerateConfig], Samples],
        folder: str,
        encoders: int,
        gpu: bool,
    ) -> None:
        self.config, self.open_samples = config, open_samples
        self.folder, self.encoders, self.gpu = folder, encoders, gpu
        self.rendering = threading.Lock()
        self.amounts: dict[int, int] = {}

    def open(self) -> Manifest:
        """Load the generator; the set that it is to write."""
        enter_node(self.folder, self.gpu)
        self.files = open_writable(self.config.out)
        self.samples = self.open_samples(self.config)
        self.plan = plan_of(self.config, self.samples)
        return self.plan

    def start(self, index: int, size: int) -> None:
        """Begin to write, as part `index`; part 0 is the command's own."""
        if not _comes_true(lambda: self.files.size(MANIFEST) is not None, SHOWN_SECONDS):
            raise DataError(f"this node does not see {self.files.place(MANIFEST)}: {SHARED}")
        check_same_set(self.files.path, read_manifest(self.files), self.plan)
        self.exit = contextlib.ExitStack()
        self.lock = self.exit.enter_context(self.files.part(index, size + 1))
        self.pool = self.exit.enter_context(EncoderPool(self.encoders, encoding_of(self.plan)))

    def work(self, number: int) -> int:
        """Write a shard, unless it is published; how many samples are new."""
        jobs = missing_shards(self.files, self.plan, [number])
        if jobs:
            write_shards(
                self.files,
                self.plan,
                self.lock,
                self.pool,
                jobs,
                self.samples.render,
                self.samples.describe,
                self.config.batch_size,
                lambda done, total: self.amounts.__setitem__(number, done),
                rendering=self.rendering,
            )
        self.amounts.pop(number, None)
        return sum(job.num_samples - job.replaces for job in jobs)

    def progress(self) -> dict[int, int]:
        """Samples of each shard at hand that are encoded."""
        return dict(self.amounts)

    def close(self) -> None:
        """Let go of the part and of the encoder processes."""
        self.exit.close()


def plan_of(config: GenerateConfig, samples: Samples) -> Manifest:
    """The set that the options ask for, of these samples."""
    return plan_set(
        samples.recipe,
        samples.num_samples,
        config.samples_per_shard,
        config.group_size,
        config.format,
        config.quality,
        columns=samples.columns,
        labels=samples.labels,
        batch_size=config.batch_size,
    )


def write_on_ray(config: GenerateConfig, open_samples: Callable[[GenerateConfig], Samples]) -> ShardSetInfo:
    """Write a shard set, or those of its shards that are missing, on a Ray cluster.

    Args:
        config: the options.
        open_samples: opens what is drawn from, in a worker.

    Raises:
        UsageError: options that do not fit the generator, the cluster, or the set that is there.
        DataError: a shard failed again and again, or the folder is not the same on all nodes.
    """
    given: Path | str = config.out if is_url(config.out) else Path(config.out)
    config = replace(config, out=config.out if is_url(config.out) else os.path.abspath(config.out))
    files = open_writable(config.out)
    encoders = max(1, int(config.worker_cpus) - 1) if config.workers is None else config.workers
    make = functools.partial(ShardWorker, config, open_samples, os.getcwd(), encoders, config.worker_gpus != 0)
    with RayPool(make, **config.pool_options()) as pool:
        plan: Manifest = pool.first()
        if found := finished_set(files, plan):
            files.remove_leftovers()
            return replace(set_info(given, found), reused=True, existing=plan.num_samples)
        files.make_folder()
        with files.part(0, pool.size + 1) as lock:
            begin_set(files, plan, lock)
            return replace(_fill(files, plan, lock, pool), path=given)


def _fill(files: WritableSet, plan: Manifest, lock: PartLock, pool: RayPool) -> ShardSetInfo:
    """Have the missing shards of a set that is begun written, and complete it."""
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    numbers = range(num_shards(plan.num_samples, plan.samples_per_shard))
    jobs = {number: job for number in numbers for job in missing_shards(files, plan, [number])}
    total, finished = sum(job.num_samples for job in jobs.values()), 0

    def done(number: int, written: int) -> None:
        nonlocal finished
        finished += jobs[number].num_samples
        progress.update(finished, total)

    with Progress("generate", total, "samples") as progress:
        pool.run(
            list(jobs),
            name=lambda number: f"shard {shard_name(number)}",
            check=lambda other, node: _check_alike(plan, other, node),
            done=done,
            report=lambda amount, workers: progress.update(max(progress.done, finished + amount), workers=workers),
        )
    _comes_true(lambda: lock.clean_up() == 0, LOST_SECONDS)
    with disk_errors(files.path):
        if not _comes_true(lambda: complete_set(files, plan, lock).complete, SHOWN_SECONDS):
            raise DataError(f"{files.path} does not show all the shards that the workers have written: {SHARED}")
        info = complete_set(files, plan, lock)
    written = sum(job.num_samples - job.replaces for job in jobs.values())
    return replace(info, written=written, existing=plan.num_samples - written)


def _check_alike(plan: Manifest, other: Manifest, node: str) -> None:
    """Raises DataError if what a worker would write is not what the first one would."""
    if lines := plan.recipe.differences(other.recipe):
        raise DataError(
            f"a worker on node {node} would draw other samples than the first one, so they cannot fill one set; they "
            "differ in\n  " + "\n  ".join(lines)
        )
    if plan.made_with != other.made_with:
        raise DataError(
            f"a worker on node {node} has {other.made_with}, and the first one {plan.made_with}; install the same "
            "versions on all nodes, since the bytes of a set depend on them"
        )


def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition is true, or comes true within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True
