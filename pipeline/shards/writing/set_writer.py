"""Writes a shard set, or those of its shards that are missing, while other processes may write the others.

Encoding, writing and checking run beside generation. Shard s belongs to process s modulo the number of processes, so
that processes need not talk to each other; on a Ray cluster (executors/ray_sets.py) shards go to whoever is free. A
shard is rendered in batches from its first sample on, so that its bytes depend on the recipe and the batch size alone,
and not on which process wrote it or in how many runs. The batch size matters where `render` is a network, which may add
numbers in another order on another batch size: the manifest notes it.

Shapes: N samples of V images, (N, V, 3, S, S) uint8.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ...errors import DataError, UsageError
from ...images.encoding import Encoding
from ..layout import LABEL_COLUMNS, MANIFEST, num_shards, shard_name, shard_samples
from ..manifest import MAX_VIEWS_PER_SAMPLE, Manifest, Recipe, find_manifest, read_manifest
from ..publish import PartLock, disk_errors
from ..readable import check_files
from ..sidecar import CONDITIONS
from ..status import ShardSetInfo, complete_set, find_entry, is_published, set_info
from ..writable import WritableSet, for_each, open_writable
from .encoder_pool import EncoderPool, default_workers
from .shard_writer import ShardJob, ShardWriter

log = logging.getLogger(__name__)

BATCH_SIZE = 256
"""How many samples `render` is asked for at once. Ours."""

Render: TypeAlias = Callable[[np.ndarray], Any]
"""Takes indices of samples, (N,) int64, and returns their images, (N, V, 3, S, S) uint8: an array, a tensor on any
device, or something whose `array` gives them when they have come to the host (`Readback`)."""

Describe: TypeAlias = Callable[[np.ndarray], Mapping[str, Sequence[Any]]]
"""Takes indices of samples, (N,) int64, and returns what they were drawn for: N values for each of some of the columns
in `sidecar.CONDITIONS`, the same columns each time."""

Report: TypeAlias = Callable[[int, int], None]
"""Is called with how many samples this process has written so far, and how many it has to write in all."""


def write_shard_set(
    directory: str | Path,
    recipe: Recipe | Mapping[str, Any],
    num_samples: int,
    samples_per_shard: int,
    render: Render,
    *,
    images_per_sample: int = 1,
    image_format: str = "png",
    quality: int | None = None,
    describe: Describe | None = None,
    labels: Sequence[str] = (),
    batch_size: int = BATCH_SIZE,
    process_index: int = 0,
    num_processes: int = 1,
    workers: int | None = None,
    progress: Report | None = None,
) -> ShardSetInfo:
    """Write those shards of this process's part of a set that are missing.

    Args:
        directory: the set's folder, which is made if it is missing, or its URL in an object store (object_store.py).
        recipe: what the samples are a function of. The options of the set (format, images a sample, labels, ...) are
            added to it. The sidecars hold its `seed`, too.
        num_samples: samples of the whole set. A number larger than before continues the set.
        samples_per_shard: samples in each shard but the last.
        render: see `Render`. Sample i must depend on i alone.
        images_per_sample: V.
        image_format: `png`, `jpg` or `webp`.
        quality: 1 to 100, see `Encoding`.
        describe: what samples were drawn for, for the sidecars; see `Describe`.
        labels: which of that is in the tars too: `cls` for classes, `txt` for prompts.
        batch_size: how many samples are rendered at once. A set that is continued with another one says so in a
            warning, since some pixels may then differ by one step from those of a set that was made in one go.
        process_index: which part this process writes, in [0, num_processes). Jobs count as processes.
        num_processes: how many processes write the set, now or later, on one machine or several that share the folder.
        workers: how many encoder processes to start; 0 encodes in this process. None is one for each core but one.
        progress: see `Report`.

    Returns:
        What the set is now. It is not `complete` while other processes have shards to write; the last process completes
        it. It is `reused` if it was complete before.

    Raises:
        UsageError: an option has an impossible value, the folder holds a set of another recipe or of more samples, or
            sets cannot be written to such a URL.
        DataError: the folder holds something else, a shard is damaged, another process writes this part, the disk is
            full, or a store does not answer or refuses. Published shards stay, and the same call continues.
    """
    columns = list(describe(np.arange(1))) if describe is not None else []
    plan = plan_set(
        recipe,
        num_samples,
        samples_per_shard,
        images_per_sample,
        image_format,
        quality,
        columns=columns,
        labels=labels,
        batch_size=batch_size,
    )
    if not 0 <= process_index < num_processes:
        raise UsageError(f"process {process_index} of {num_processes} is impossible: processes are numbered from 0")
    files = open_writable(directory)
    if found := finished_set(files, plan):
        files.remove_leftovers()
        part = _num_samples(plan, process_index, num_processes)
        return replace(set_info(files.path, found), reused=True, existing=part)
    files.make_folder()
    with files.part(process_index, num_processes) as lock:
        begin_set(files, plan, lock)
        jobs = missing_shards(files, plan, _numbers(plan, process_index, num_processes))
        if jobs:
            with EncoderPool(default_workers() if workers is None else workers, encoding_of(plan)) as pool:
                write_shards(files, plan, lock, pool, jobs, render, describe, batch_size, progress)
        with disk_errors(files.path):
            info = complete_set(files, plan, lock)
    written = sum(job.num_samples - job.replaces for job in jobs)
    return replace(info, written=written, existing=_num_samples(plan, process_index, num_processes) - written)


def write_shards(
    files: WritableSet,
    plan: Manifest,
    lock: PartLock,
    pool: EncoderPool,
    jobs: Sequence[ShardJob],
    render: Render,
    describe: Describe | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Report | None = None,
    rendering: AbstractContextManager[Any] | None = None,
) -> None:
    """Write and publish shards of a set that is begun.

    Args:
        files: the set's files.
        plan: the set.
        lock: of the part that writes; it names temporary files.
        pool: encodes the images.
        jobs: the shards.
        render: see `Render`.
        describe: see `Describe`.
        batch_size: how many samples are rendered at once.
        progress: see `Report`.
        rendering: held while samples are rendered, and let go while the last of them are encoded and published.

    Raises:
        DataError: the disk is full, or another file has a shard's name.
    """
    with ShardWriter(files, plan, lock, pool, jobs, progress) as writer, rendering or nullcontext():
        for indices, images in _render_ahead(jobs, render, batch_size):
            array = _as_array(images, len(indices), plan.views_per_sample)
            writer.add(int(indices[0]), array, _columns(describe, indices))


def plan_set(
    recipe: Recipe | Mapping[str, Any],
    num_samples: int,
    samples_per_shard: int,
    images_per_sample: int,
    image_format: str,
    quality: int | None,
    *,
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
    batch_size: int | None = None,
) -> Manifest:
    """The manifest of the set that is to be written, without shards.

    `columns` are those of `CONDITIONS` that its sidecars have; the others are as `write_shard_set` takes them.

    Raises:
        UsageError: an option has an impossible value.
    """
    if num_samples < 1:
        raise UsageError(f"--num-samples must be at least 1, not {num_samples}")
    if samples_per_shard < 1:
        raise UsageError(f"--samples-per-shard must be at least 1, not {samples_per_shard}")
    if not 1 <= images_per_sample <= MAX_VIEWS_PER_SAMPLE:
        raise UsageError(f"--images-per-sample must be 1 to {MAX_VIEWS_PER_SAMPLE}, not {images_per_sample}")
    if missing := [name for name in labels if LABEL_COLUMNS[name] not in columns]:
        raise UsageError(f"the samples have no {LABEL_COLUMNS[missing[0]]} to write as KEY.{missing[0]}")
    try:
        encoding = Encoding(image_format, quality).resolved()
    except ValueError as error:
        raise UsageError(str(error)) from None
    values = recipe.values if isinstance(recipe, Recipe) else recipe
    own: dict[str, Any] = {
        "format": encoding.image_format,
        "quality": encoding.quality,
        "samples_per_shard": samples_per_shard,
    }
    own["views_per_sample"] = images_per_sample
    # Only where there are any, so that the recipes of other sets are what they were.
    own |= {"columns": list(columns)} if columns else {}
    own |= {"labels": list(labels)} if labels else {}
    return Manifest(
        kind="generated",
        recipe=Recipe({**values, **own}),
        num_samples=num_samples,
        samples_per_shard=samples_per_shard,
        views_per_sample=images_per_sample,
        image_size=None,
        image_format=encoding.image_format,
        complete=False,
        made_with=made_with(),
        labels=tuple(labels),
        batch_size=batch_size,
    )


def made_with() -> dict[str, str]:
    """The versions of the libraries that write a set, for its manifest."""
    return {name: importlib.metadata.version(name) for name in ("synthcl", "pyarrow", "pillow", "numpy")}


def encoding_of(plan: Manifest) -> Encoding:
    """How the images of a set that is written are encoded."""
    assert plan.image_format is not None, "sets that are written have one format"
    return Encoding(plan.image_format, plan.recipe.values["quality"])


def finished_set(files: WritableSet, plan: Manifest) -> Manifest | None:
    """The manifest of the set in the folder, if that set is the one asked for and complete. Changes nothing.

    Raises:
        UsageError: the folder holds a set of another recipe, or of more samples.
        DataError: the folder holds something else, or files of the set are missing.
    """
    found = find_manifest(files)
    if found is None:
        names = files.entries()
        if names and files.size(MANIFEST) is None:  # if there is one that cannot be read, its upload was cut
            raise DataError(
                f"--out {files.path} is not empty and holds no shard set (it has {names[0]}); give a new or empty "
                "folder"
            )
        return None
    check_same_set(files.path, found, plan)
    if not found.complete or found.num_samples != plan.num_samples:
        return None
    check_files(files, found)
    return found


def check_same_set(directory: Path | str, found: Manifest, plan: Manifest) -> None:
    """Raises UsageError if the set in the folder is of another recipe than the planned one, or has more samples."""
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


def begin_set(files: WritableSet, plan: Manifest, lock: PartLock) -> None:
    """Write the manifest of the set that is begun or continued, so that nobody writes another set into the folder.

    Raises:
        UsageError: the folder holds a set of another recipe, or of more samples.
        DataError: the disk is full.
    """
    with disk_errors(files.path):
        if find_manifest(files) is None:
            cut = files.size(MANIFEST) is not None
            if plan.publish(files, lock, replace=cut):
                return
        found = read_manifest(files)
        check_same_set(files.path, found, plan)  # another process may have begun the set a moment ago
        _warn_of_batch_size(files.path, found, plan)
        if found.num_samples < plan.num_samples:
            again = replace(found, num_samples=plan.num_samples, complete=False, shards=())
            again.publish(files, lock, replace=True)


def _warn_of_batch_size(directory: Path | str, found: Manifest, plan: Manifest) -> None:
    if None not in (found.batch_size, plan.batch_size) and found.batch_size != plan.batch_size:
        log.warning(
            "--out %s was begun with --batch-size %d and goes on with %d: pixels may differ by one step from those "
            "of a set made in one go",
            directory,
            found.batch_size,
            plan.batch_size,
        )


def _numbers(plan: Manifest, process_index: int, num_processes: int) -> range:
    """The numbers of the shards that are a process's part."""
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    return range(process_index, num_shards(plan.num_samples, plan.samples_per_shard), num_processes)


def _num_samples(plan: Manifest, process_index: int, num_processes: int) -> int:
    """How many samples are a process's part."""
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    numbers = _numbers(plan, process_index, num_processes)
    return sum(len(shard_samples(number, plan.num_samples, plan.samples_per_shard)) for number in numbers)


def missing_shards(files: WritableSet, plan: Manifest, numbers: Iterable[int]) -> list[ShardJob]:
    """Those of the shards of these numbers that are not published.

    Raises:
        DataError: a shard is damaged, or belongs to another set.
    """
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    per_shard = plan.samples_per_shard

    def missing(number: int) -> ShardJob | None:
        samples, name = shard_samples(number, plan.num_samples, per_shard), shard_name(number)
        if is_published(files, name, plan.recipe.hash, len(samples)):
            return None
        # A set that is continued may end in a shard that was short; it is written anew, with the same samples.
        shorter = find_entry(files, name)
        return ShardJob(name, samples.start, len(samples), 0 if shorter is None else shorter[0].num_samples)

    return [job for job in for_each(files, missing, numbers) if job is not None]


def _render_ahead(jobs: Sequence[ShardJob], render: Render, batch_size: int) -> Iterator[tuple[np.ndarray, Any]]:
    """Rendered batches. Each is given after the next one was asked for, so that a GPU always has work; its copy to the
    host is begun before, so that it does not queue behind that work."""
    before: tuple[np.ndarray, Any] | None = None
    for job in jobs:
        end = job.first_index + job.num_samples
        for start in range(job.first_index, end, batch_size):
            indices = np.arange(start, min(start + batch_size, end))
            now = indices, _on_its_way(render(indices))
            if before is not None:
                yield before
            before = now
    if before is not None:
        yield before


def _columns(describe: Describe | None, indices: np.ndarray) -> dict[str, pa.Array]:
    """What samples were drawn for, as columns of the sidecar."""
    found = describe(indices) if describe is not None else {}
    return {name: pa.array(values, CONDITIONS[name]) for name, values in found.items()}


def _on_its_way(images: Any) -> Any:
    """What `render` returned; a tensor, on its way to the host."""
    if not hasattr(images, "detach"):
        return images
    from ...runtime.readback import Readback  # torch, which whoever has a tensor has loaded

    return Readback(images)


def _as_array(images: Any, n: int, views: int) -> np.ndarray:
    """The images that `_on_its_way` gave, as a NumPy array, when they have come.

    Raises:
        ValueError: they do not have the right shape and type.
    """
    array = np.asarray(images.array() if hasattr(images, "array") else images)
    if array.dtype != np.uint8 or array.shape != (n, views, 3, array.shape[-1], array.shape[-1]):
        raise ValueError(
            f"render must give uint8 ({n}, {views}, 3, S, S) for {n} samples, not {array.dtype} {array.shape}"
        )
    return array
