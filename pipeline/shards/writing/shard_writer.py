"""Writes shards: images of samples in, published tars and sidecars out, in a thread beside the one that generates."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

from ..layout import LABEL_COLUMNS, end_marker, sidecar_name
from ..manifest import Manifest
from ..publish import PartLock, TemporaryFile, disk_errors
from ..sidecar import TarFacts, build_table, label_files, write_sidecar
from ..writable import WritableSet
from .encoder_pool import EncoderPool
from .tar_chunk import TarChunk


@dataclass(frozen=True)
class ShardJob:
    """A shard to write.

    Attributes:
        name: the tar's file name.
        first_index: the index of its first sample.
        num_samples: how many samples it has.
        replaces: how many samples the shorter shard has that is published in its place: the first of the same samples.
    """

    name: str
    first_index: int
    num_samples: int
    replaces: int = 0


class ShardWriter:
    """Takes the images of some shards in order, and writes and publishes the shards.

    Leaving the context waits until all shards are published. After an error, no more shards are published.
    """

    def __init__(
        self,
        files: WritableSet,
        plan: Manifest,
        lock: PartLock,
        pool: EncoderPool,
        jobs: Sequence[ShardJob],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.files, self.plan, self.lock, self.pool, self.jobs = files, plan, lock, pool, jobs
        self.progress = progress
        self._done = 0
        self._chunks: queue.SimpleQueue[tuple[Future[TarChunk], int, Mapping[str, pa.Array]] | None] = (
            queue.SimpleQueue()
        )
        self._image_size: int | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="shards", daemon=True)

    def __enter__(self) -> ShardWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._chunks.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def add(self, first_index: int, images: np.ndarray, columns: Mapping[str, pa.Array] | None = None) -> None:
        """Add the next samples, all of one shard. Waits while too many of the pool's are pending.

        Args:
            first_index: the index of the first.
            images: (n, V, 3, S, S) uint8.
            columns: more columns of their rows, n values each, the same ones for all samples.

        Raises:
            the error that earlier samples met, if one did.
        """
        if self._error is not None:
            raise self._error
        if self._image_size not in (None, images.shape[-1]):
            raise ValueError(f"render gave images of {images.shape[-1]} pixels after images of {self._image_size}")
        self._image_size = images.shape[-1]
        columns = columns or {}
        labels = {name: label_files(columns[LABEL_COLUMNS[name]]) for name in self.plan.labels}
        self.pool.pending.take(images.nbytes)
        try:
            chunk = self.pool.submit(first_index, images, labels)
        except BaseException:
            self.pool.pending.give(images.nbytes)
            raise
        self._chunks.put((chunk, images.nbytes, columns))

    def _run(self) -> None:
        try:
            for job in self.jobs:
                with disk_errors(self.files.path):
                    if not self._write(job):
                        return
        except BaseException as error:
            self._error = error
            while (item := self._chunks.get()) is not None:  # so that nobody waits for room that these take up
                self.pool.pending.give(item[1])

    def _write(self, job: ShardJob) -> bool:
        """Write and publish one shard. False if its samples do not come."""
        chunks: list[TarChunk] = []
        columns: list[Mapping[str, pa.Array]] = []
        starts: list[int] = []
        with TemporaryFile(self.lock.temporary(job.name)) as tar:
            missing = job.num_samples
            while missing:
                item = self._chunks.get()
                if item is None:
                    return False
                try:
                    chunk = item[0].result()
                finally:
                    self.pool.pending.give(item[1])
                starts.append(tar.size)
                tar.write(chunk.data)
                chunks.append(chunk)
                columns.append(item[2])
                missing -= len(chunk.sizes)
                self._report(len(chunk.sizes))
            tar.write(end_marker(tar.size))
            tar.finish()
            sidecar = self._sidecar(job, tar, gather_places(chunks, starts), join_columns(columns))
            publish_shard(self.files, self.lock, job, tar, sidecar)
        return True

    def _report(self, count: int) -> None:
        self._done += count
        if self.progress is not None:
            self.progress(self._done, sum(job.num_samples for job in self.jobs))

    def _sidecar(
        self, job: ShardJob, tar: TemporaryFile, places: dict[str, np.ndarray], columns: dict[str, pa.Array]
    ) -> bytes:
        recipe, labels = self.plan.recipe, self.plan.labels
        seed = recipe.values.get("seed")
        seed = seed if isinstance(seed, int) else None
        table = build_table(job.name, job.first_index, seed, places, columns, labels)
        assert self._image_size is not None, "a shard has images"
        facts = TarFacts(job.name, recipe.hash, tar.size, tar.sha256, self._image_size, self.plan.views_per_sample)
        return write_sidecar(table, facts)


def publish_shard(files: WritableSet, lock: PartLock, job: ShardJob, tar: TemporaryFile, sidecar: bytes) -> None:
    """Publish a finished tar, then its sidecar. The shard counts once it has a sidecar."""
    target = sidecar_name(job.name)
    with TemporaryFile(lock.temporary(Path(target).name)) as file:
        file.write(sidecar)
        file.finish()
        files.publish(tar, job.name, replace=job.replaces > 0)
        files.publish(file, target, replace=job.replaces > 0)


def gather_places(chunks: Sequence[TarChunk], starts: Sequence[int]) -> dict[str, np.ndarray]:
    """The places of the chunks' members, (n, V + L) each, given where each chunk begins in the tar."""
    return {
        "offset": np.concatenate([chunk.offsets + start for chunk, start in zip(chunks, starts, strict=True)]),
        "size": np.concatenate([chunk.sizes for chunk in chunks]),
        "crc32": np.concatenate([chunk.crc32 for chunk in chunks]),
        "header_crc32": np.concatenate([chunk.header_crc32 for chunk in chunks]),
    }


def join_columns(parts: Sequence[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    """The columns of several chunks, one after the other."""
    return {name: pa.concat_arrays([part[name] for part in parts]) for name in parts[0]}
