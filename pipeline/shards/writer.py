"""Writing a shard set: encoding, writing and checking run beside generation, and what was finished stays finished.

Shard s belongs to process s modulo the number of processes, so that processes need not speak to each other; a shard is
rendered in batches from its first sample on. So the bytes of a shard depend on the recipe, and not on who wrote it,
in how many runs.

Shapes: a sample has V = 1 or 2 images (N, V, 3, S, S) uint8.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..errors import DataError, UsageError
from .assembler import ShardAssembler, ShardJob
from .encode import Encoding
from .finish import ShardSetInfo, describe, finish, is_finished, is_published
from .layout import HIDDEN, num_shards, set_file, shard_name, shard_samples, sidecar_path
from .locks import PartLock, remove_leftovers
from .pool import EncoderPool, default_workers
from .publish import disk_errors
from .recipe import Recipe
from .setfile import SetFile, read_set_file
from .sidecar import read_facts

BATCH_SIZE = 256
"""Samples that `render` is asked for at once. Ours."""

Render: TypeAlias = Callable[[np.ndarray], Any]
"""Gives the images of samples (N,) int64: uint8 (N, V, 3, S, S), a NumPy array or a tensor on any device."""

Report: TypeAlias = Callable[[int, int], None]
"""Called with the samples that this process has written so far, and those that it has to write in all."""


def write_shard_set(
    directory: str | Path,
    recipe: Recipe | Mapping[str, Any],
    num_samples: int,
    samples_per_shard: int,
    render: Render,
    *,
    pairs: bool = False,
    image_format: str = "png",
    quality: int | None = None,
    batch_size: int = BATCH_SIZE,
    process_index: int = 0,
    num_processes: int = 1,
    workers: int | None = None,
    progress: Report | None = None,
) -> ShardSetInfo:
    """Write this process's part of a shard set, as far as it is not there yet.

    Args:
        directory: the set's folder; made if missing.
        recipe: what the samples are a function of; the set's own options (format, quality, pairs, samples a shard) are
            added to it. `seed` goes into the sidecars too.
        num_samples: of the whole set. Asking for more than there are continues the set.
        samples_per_shard: in each shard but the last.
        render: gives the images of samples by their index. Sample i must depend on i alone.
        pairs: two images a sample.
        image_format: `png`, `jpg` or `webp`.
        quality: 1 to 100, see `Encoding`.
        batch_size: samples that are rendered at once.
        process_index: which part is this process's, in [0, num_processes). Jobs count as processes too.
        num_processes: how many write the set, now or later, on one machine or several that share the folder.
        workers: encoder processes; 0 encodes in this one. By default one a core, less this one.
        progress: see `Report`.

    Returns:
        The set as it stands. `complete` is false while other processes are at work; whoever is last completes it.
        `reused` is true if it was complete before.

    Raises:
        UsageError: options that do not fit, or a folder that holds a set of another recipe or of more samples.
        DataError: a folder that holds something else, damaged shards, another process that writes this part, or a disk
            that is full. What was published stays, and the same call continues.
    """
    plan = plan_set(recipe, num_samples, samples_per_shard, pairs, image_format, quality)
    if not 0 <= process_index < num_processes:
        raise UsageError(f"process {process_index} of {num_processes} cannot be; they are numbered from 0")
    directory = Path(directory)
    if found := _finished(directory, plan):
        remove_leftovers(directory)
        part = _num_samples(plan, process_index, num_processes)
        return replace(describe(directory, found), reused=True, existing=part)
    with disk_errors(directory):
        (directory / HIDDEN).mkdir(parents=True, exist_ok=True)
    with PartLock(directory, process_index, num_processes) as lock:
        with disk_errors(directory):
            _begin(directory, plan, lock)
        jobs = _missing(directory, plan, process_index, num_processes)
        if jobs:
            encoding = Encoding(image_format, plan.recipe.values["quality"])
            with EncoderPool(default_workers() if workers is None else workers, encoding) as pool:
                _fill(directory, plan, lock, pool, jobs, render, batch_size, progress)
        with disk_errors(directory):
            info = finish(directory, plan, lock)
    written = sum(job.num_samples - job.replaces for job in jobs)
    return replace(info, written=written, existing=_num_samples(plan, process_index, num_processes) - written)


def plan_set(
    recipe: Recipe | Mapping[str, Any],
    num_samples: int,
    samples_per_shard: int,
    pairs: bool,
    image_format: str,
    quality: int | None,
) -> SetFile:
    """The set as it is to be, without its shards."""
    if num_samples < 1:
        raise UsageError(f"--num-samples must be at least 1, not {num_samples}")
    if samples_per_shard < 1:
        raise UsageError(f"--samples-per-shard must be at least 1, not {samples_per_shard}")
    try:
        encoding = Encoding(image_format, quality).resolved()
    except ValueError as error:
        raise UsageError(str(error)) from None
    views = 2 if pairs else 1
    values = recipe.values if isinstance(recipe, Recipe) else recipe
    own = {"format": encoding.image_format, "quality": encoding.quality, "samples_per_shard": samples_per_shard}
    return SetFile(
        kind="generated",
        recipe=Recipe({**values, **own, "views_per_sample": views}),
        num_samples=num_samples,
        samples_per_shard=samples_per_shard,
        views_per_sample=views,
        image_size=None,
        image_format=encoding.image_format,
        complete=False,
        made_with=made_with(),
    )


def made_with() -> dict[str, str]:
    """Versions of what writes a set, for the record."""
    return {name: importlib.metadata.version(name) for name in ("synthcl", "pyarrow", "pillow", "numpy")}


def _finished(directory: Path, plan: SetFile) -> SetFile | None:
    """The set in the folder if it is the one asked for, and whole. Makes nothing.

    Raises:
        UsageError: a set of another recipe, or of more samples.
        DataError: the folder holds something else.
    """
    if directory.exists() and not directory.is_dir():
        raise DataError(f"--out {directory} is a file; give a folder")
    if not set_file(directory).exists():
        names = [name for name in os.listdir(directory) if name != HIDDEN] if directory.exists() else []
        if names:
            raise DataError(
                f"--out {directory} is not empty and holds no shard set (it has {names[0]}); give a new or empty folder"
            )
        return None
    found = read_set_file(directory)
    _check_same(directory, found, plan)
    return found if found.complete and found.num_samples == plan.num_samples and is_finished(directory, found) else None


def _check_same(directory: Path, found: SetFile, plan: SetFile) -> None:
    if lines := found.recipe.differences(plan.recipe):
        raise UsageError(
            f"--out {directory} holds a shard set of another recipe; give another folder, or the options it was made "
            f"with. It differs in\n  " + "\n  ".join(lines)
        )
    if found.num_samples > plan.num_samples:
        raise UsageError(
            f"--out {directory} holds a set of {found.num_samples:,} samples of this recipe, more than the "
            f"{plan.num_samples:,} asked for; use it with --where 'sample_index < {plan.num_samples}', or give "
            f"--num-samples {found.num_samples}"
        )


def _begin(directory: Path, plan: SetFile, lock: PartLock) -> None:
    """Have the set's index say what is being made, so that nobody makes something else in the folder."""
    temporary = lock.temporary("shardset.json")
    if not set_file(directory).exists() and plan.publish(directory, temporary, replace=False):
        return
    found = read_set_file(directory)
    _check_same(directory, found, plan)  # another process may have begun it a moment ago
    if found.num_samples < plan.num_samples:
        replace(found, num_samples=plan.num_samples, complete=False, shards=()).publish(
            directory, temporary, replace=True
        )


def _numbers(plan: SetFile, process_index: int, num_processes: int) -> range:
    """The numbers of the shards that are a process's part."""
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    return range(process_index, num_shards(plan.num_samples, plan.samples_per_shard), num_processes)


def _num_samples(plan: SetFile, process_index: int, num_processes: int) -> int:
    """How many samples are a process's part."""
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    numbers = _numbers(plan, process_index, num_processes)
    return sum(len(shard_samples(number, plan.num_samples, plan.samples_per_shard)) for number in numbers)


def _missing(directory: Path, plan: SetFile, process_index: int, num_processes: int) -> list[ShardJob]:
    """This process's shards that are not published."""
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    jobs = []
    for number in _numbers(plan, process_index, num_processes):
        samples = shard_samples(number, plan.num_samples, plan.samples_per_shard)
        name = shard_name(number)
        if not is_published(directory, name, plan.recipe.hash, len(samples)):
            # A set that is continued may end in a shard that was short; it is written anew, with the same samples.
            sidecar = sidecar_path(directory, name)
            replaces = read_facts(sidecar)[1] if sidecar.exists() else 0
            jobs.append(ShardJob(name, samples.start, len(samples), replaces))
    return jobs


def _fill(
    directory: Path,
    plan: SetFile,
    lock: PartLock,
    pool: EncoderPool,
    jobs: list[ShardJob],
    render: Render,
    batch_size: int,
    progress: Report | None,
) -> None:
    """Render, encode and publish the shards."""
    with ShardAssembler(directory, plan, lock, pool, jobs, progress) as assembler:
        for indices, images in _render_ahead(jobs, render, batch_size):
            assembler.add(int(indices[0]), _as_array(images, len(indices), plan.views_per_sample))


def _render_ahead(jobs: list[ShardJob], render: Render, batch_size: int) -> Iterator[tuple[np.ndarray, Any]]:
    """Rendered batches, each handed on after the next was asked for, so that a GPU always has work."""
    before: tuple[np.ndarray, Any] | None = None
    for job in jobs:
        end = job.first_index + job.num_samples
        for start in range(job.first_index, end, batch_size):
            indices = np.arange(start, min(start + batch_size, end))
            now = indices, render(indices)
            if before is not None:
                yield before
            before = now
    if before is not None:
        yield before


def _as_array(images: Any, n: int, views: int) -> np.ndarray:
    """What `render` gave, as a NumPy array on the CPU.

    Raises:
        ValueError: it has another shape or type than it should.
    """
    if hasattr(images, "detach"):
        images = images.detach().cpu().numpy()
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.shape != (n, views, 3, array.shape[-1], array.shape[-1]):
        raise ValueError(
            f"render must give uint8 ({n}, {views}, 3, S, S) for {n} samples, not {array.dtype} {array.shape}"
        )
    return array
