"""Finds the samples of a set: the shard and the row of each, its place in the tar, and its columns. Imports no torch.

A sidecar is read when it is first needed, and its places are kept. So opening a set of ten million samples takes no
longer than opening one of ten thousand.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from ..errors import DataError, UsageError
from .readable import ReadableSet, open_plain
from .side_tables import SideTables
from .sidecar import Places, read_places, read_schema, read_table


class SampleLocator:
    """Finds the samples of a complete set, numbered from 0 over all shards.

    Attributes:
        folder: gives the files.
        manifest: the set's manifest.
        shards: its shards.
        starts: (shards + 1,) int64, the number of each shard's first sample, and how many samples there are.
    """

    def __init__(self, folder: ReadableSet) -> None:
        self.folder = folder
        self.manifest = folder.manifest
        self.shards = folder.manifest.shards
        self.starts = np.concatenate(([0], np.cumsum([s.num_samples for s in self.shards], dtype=np.int64)))
        self._places: dict[int, Places] = {}
        self._forget_process()

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getstate__(self) -> dict[str, object]:
        state = dict(self.__dict__)
        for name in ("_lock", "_files", "_process"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._forget_process()

    def _forget_process(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._files: OrderedDict[int, int] = OrderedDict()

    def __del__(self) -> None:
        for descriptor in getattr(self, "_files", {}).values():
            os.close(descriptor)

    @property
    def lock(self) -> threading.RLock:
        """A reader holds it, since opening one file may close another."""
        if self._process != os.getpid():  # after a fork: a thread of the parent may hold the old one
            self._forget_process()
        return self._lock

    def locate(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of each sample's shard, and the sample's row there."""
        shards = np.searchsorted(self.starts, samples, side="right") - 1
        return shards, samples - self.starts[shards]

    def places(self, shard: int) -> Places:
        """The places of a shard's images.

        Raises:
            DataError: the shard's sidecar is missing or damaged.
        """
        places = self._places.get(shard)
        if places is None:
            entry = self.shards[shard]
            places = self._places[shard] = read_places(self.folder.sidecar(entry), entry, self.manifest)
        return places

    def descriptor(self, shard: int) -> int:
        """A file descriptor of a shard's tar. Hold `lock` while you use it.

        Raises:
            DataError: the tar is missing, or not of the size that the manifest says.
        """
        if shard in self._files:
            self._files.move_to_end(shard)
        else:
            entry = self.shards[shard]
            self._files[shard] = open_plain(self.folder.tar(entry), entry.size)
            if len(self._files) > self.folder.max_open_files:
                os.close(self._files.popitem(last=False)[1])
        return self._files[shard]

    def rows(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of the sidecar and the side tables for a shard's samples; all columns by default.

        Raises:
            DataError: a file is damaged.
            UsageError: the set has no such column.
        """
        entry, path = self.shards[shard], self.folder.sidecar(self.shards[shard])
        wanted = self.column_names() if columns is None else list(columns)
        beside = [name for name in wanted if name not in self._sidecar_columns]
        inside = [name for name in wanted if name in self._sidecar_columns]
        table = read_table(path, inside, num_rows=entry.num_samples, sha256=entry.sidecar_sha256)
        start, end = int(self.starts[shard]), int(self.starts[shard + 1])
        for name in beside:
            if name not in self._side_tables.names:
                raise UsageError(f"{self.folder.name} has no column {name!r}; it has {', '.join(self.column_names())}")
            table = table.append_column(name, self._side_tables.column(name).slice(start, end - start))
        return table.select(wanted)

    def column_names(self) -> list[str]:
        """The names of the columns of the sidecars and the side tables."""
        return [*self._sidecar_columns, *self._side_tables.names]

    @cached_property
    def _sidecar_columns(self) -> list[str]:
        if not self.shards:
            return []
        entry = self.shards[0]
        return read_schema(self.folder.sidecar(entry), sha256=entry.sidecar_sha256).names

    @cached_property
    def _side_tables(self) -> SideTables:
        return SideTables(self.folder.tables(), self._sidecar_columns, self.manifest.recipe.hash, len(self))

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows of all samples, shard by shard; see `rows`."""
        for shard in range(len(self.shards)):
            yield self.rows(shard, columns)

    def describe(self, sample: int) -> str:
        """What errors call a sample: its key, its row and its shard."""
        shard, row = (int(a[0]) for a in self.locate(np.array([sample])))
        key = self.rows(shard, ["key"])["key"][row].as_py()
        return f"sample {key!r} (row {row} of {self.shards[shard].name}) of {self.folder.name}"


def check_complete(folder: ReadableSet) -> None:
    """Raises DataError if a set is not complete: training on it would have shorter epochs."""
    manifest = folder.manifest
    if not manifest.complete:
        raise DataError(
            f"{folder.name} is not complete: run the command that writes it ({manifest.num_samples:,} samples) again "
            f"to finish it"
        )
