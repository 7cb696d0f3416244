"""Records the samples of a training to a shard set, in threads and processes beside the training.

Shapes: N samples of a step, V images each, S pixels a side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import UsageError
from ...images.encoding import Encoding
from ..manifest import Recipe
from ..network import is_url
from ..sidecar import CONDITIONS, RECORDED
from ..status import ShardSetInfo
from .encoder_pool import EncoderPool
from .recorded_set import RecordedSet, plan_recorded_set
from .set_writer import plan_set

_PENDING_STEPS = 32  # ours: how many steps training may be ahead of the recording
_CHUNK = 64  # ours: how many samples an encoder process takes at once

Conditions = Callable[[], Mapping[str, Sequence[Any]]]
"""Gives what the samples of a step were drawn for: a value for each sample, by column."""


class ShardRecorder:
    """Writes samples of a training to a shard set, in the order in which they were drawn.

        with ShardRecorder("runs/a/recording", recipe, images_per_sample=2) as recorder:
            recorder.rewind(steps)               # of the checkpoint the run continues from; 0 for a new run
            for step in range(steps, total):
                ...
                recorder.append(step, images, hardness=..., pair_similarity=..., generator=...)
                if at_checkpoint:
                    recorder.commit(step + 1)    # before the checkpoint is written
            recorder.finish()

    `append` returns at once; a thread and `workers` processes do the work. In a distributed run one process records.

    Args:
        directory: the set's folder.
        recipe: what the run is a function of: its options and generator weights. The sidecars hold its `seed`, too.
        samples_per_shard: samples in each shard but the last.
        images_per_sample: V.
        columns: those of what samples were drawn for (`class`, `prompt`, ...) that `append` is given conditions for. A
            recording that was begun without any, by an earlier version, goes on without.
        image_format: `png`, which replays exactly, `jpg` or `webp`.
        quality: 1 to 100, see `Encoding`.
        workers: how many encoder processes to start; 0 encodes in the thread.

    Raises:
        UsageError: the folder holds another recording.
        DataError: the folder holds something else, or another process records into it.
    """

    def __init__(
        self,
        directory: str | Path,
        recipe: Recipe | Mapping[str, Any],
        *,
        samples_per_shard: int = 10_000,
        images_per_sample: int = 1,
        columns: Sequence[str] = (),
        image_format: str = "png",
        quality: int | None = None,
        workers: int = 1,
    ) -> None:
        if is_url(directory):
            raise UsageError(
                f"--record {directory}: a recording is cut back when its run continues, which an object store cannot "
                "do; give a folder, and upload the recording when it is finished"
            )
        plan = plan_recorded_set(
            plan_set(recipe, 1, samples_per_shard, images_per_sample, image_format, quality, columns=columns)
        )
        self._set = RecordedSet(Path(directory), plan)
        self._pool = EncoderPool(workers, Encoding(image_format, plan.recipe.values["quality"]))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._pending: deque[Future[None]] = deque()
        self._failed = False
        self._views = plan.views_per_sample

    def __enter__(self) -> ShardRecorder:
        self._set.__enter__()
        self._pool.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._pool.__exit__(None, None, None)
        self._set.__exit__(None, None, None)

    def append(
        self,
        step: int,
        images: Any,
        *,
        hardness: Any,
        pair_similarity: Any | None = None,
        generator: str = "",
        conditions: Conditions | None = None,
    ) -> None:
        """Add the samples of a step, in the order of their numbers in it.

        These numbers become the column `latent_index`: a sample's latent was drawn from its number, the step and the
        seed.

        Args:
            step: the step, counted from 0. Each step is appended once, in order.
            images: (N, V, 3, S, S) uint8, a tensor on any device or an array. Do not change them afterwards.
            hardness: (N,) floats.
            pair_similarity: (N,) floats, for pairs and larger groups.
            generator: what drew the samples, such as a name and its number of updates.
            conditions: gives what the samples were drawn for, N values for each of `columns`. It is called in the
                recorder's thread, and so may wait for a device.

        Raises:
            DataError: an earlier step could not be written: the disk is full or fails.
        """
        while self._pending and (self._pending[0].done() or len(self._pending) >= _PENDING_STEPS):
            self._pending.popleft().result()
        values = {"hardness": hardness, "pair_similarity": pair_similarity}
        self._pending.append(self._thread.submit(self._append, step, images, values, generator, conditions))

    def commit(self, steps: int) -> None:
        """Flush the samples of the first `steps` steps to disk. Call it before the checkpoint is written."""
        self._wait()
        self._thread.submit(self._set.commit, steps).result()

    def rewind(self, steps: int) -> None:
        """Drop all samples after the first `steps` steps. Call it once, before the first `append`.

        Raises:
            DataError: fewer steps were recorded, or the recording is damaged.
        """
        self._wait()
        self._set.rewind(steps)

    def finish(self) -> ShardSetInfo:
        """Complete the set. Nothing can be appended afterwards."""
        self._wait()
        return self._set.finish()

    def _wait(self) -> None:
        while self._pending:
            self._pending.popleft().result()

    def _append(
        self, step: int, images: Any, values: Mapping[str, Any], generator: str, conditions: Conditions | None
    ) -> None:
        """Encode and write a step's samples. This runs in the thread, and so do the copies from the device."""
        if self._failed:
            return  # a step failed and its error is reported; a recording with a gap is worse than one that ends early
        self._failed = True
        self._write(step, images, values, generator, conditions)
        self._failed = False

    def _write(
        self, step: int, images: Any, values: Mapping[str, Any], generator: str, conditions: Conditions | None
    ) -> None:
        array = _as_numpy(images)
        n = len(array)
        if array.dtype != np.uint8 or array.shape != (n, self._views, 3, array.shape[-1], array.shape[-1]):
            raise ValueError(f"samples must be uint8 (N, {self._views}, 3, S, S), not {array.dtype} {array.shape}")
        columns = self._conditions(step, n, conditions) | _columns(step, n, values, generator)
        first, bounds = self._set.num_samples, self._bounds(n)
        chunks = [self._pool.submit(first + start, np.ascontiguousarray(array[start:end])) for start, end in bounds]
        for (start, end), chunk in zip(bounds, chunks, strict=True):
            part = {name: column[start:end] for name, column in columns.items()}
            self._set.append(chunk.result(), part, array.shape[-1])

    def _conditions(self, step: int, n: int, conditions: Conditions | None) -> dict[str, pa.Array]:
        """What a step's n samples were drawn for, in the columns that the recording has for it."""
        names = self._set.columns
        found = conditions() if names and conditions is not None else {}
        for name in names:
            _check_length(name, step, found.get(name, ()), n)
        return {name: pa.array(found[name], CONDITIONS[name]) for name in names}

    def _bounds(self, n: int) -> Sequence[tuple[int, int]]:
        """Divide n samples into pieces, none of which crosses the end of a shard."""
        full = self._set.plan.samples_per_shard
        assert full is not None, "recordings have shards of one size"
        bounds, start, space = [], 0, self._set.space
        while start < n:
            end = min(n, start + _CHUNK, start + space)
            bounds.append((start, end))
            space = space - (end - start) or full
            start = end
        return bounds


def _columns(step: int, n: int, values: Mapping[str, Any], generator: str) -> dict[str, pa.Array]:
    found: dict[str, Any] = {name: None if value is None else _as_numpy(value) for name, value in values.items()}
    found |= {"step": np.full(n, step), "latent_index": np.arange(n), "generator": [generator] * n}
    columns = {}
    for name, kind in RECORDED.items():
        value = found[name]
        if value is not None:
            _check_length(name, step, value, n)
        columns[name] = pa.nulls(n, kind) if value is None else pa.array(value).cast(kind)
    return columns


def _check_length(name: str, step: int, values: Sequence[Any], n: int) -> None:
    if len(values) != n:
        raise ValueError(f"{name} of step {step} has {len(values)} values for {n} samples")


def _as_numpy(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float().numpy() if values.is_floating_point() else values.numpy()
    return np.asarray(values)
