"""The set of a recording on disk: its full shards, which are published, and its open shard, which still grows.

    .synthcl/recording.tar        the members of the open shard, appended as they come
    .synthcl/recording.parquet    its rows as of the last commit; the tar may hold more samples, never fewer

A commit flushes the tar, then replaces the rows. Rewinding to an earlier step cuts rows and tar. If that step lies in a
published shard, the shard's first part is copied out before that shard and those after it are removed, the last one
first. A kill at any point of this leaves either the shards or the copy, so that rewinding can be done again.

Steps are counted from 0. "After `steps` steps" means that steps 0 to `steps` - 1 are done. Every step has samples.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...errors import DataError, UsageError
from ...files import file_sha256, sync_folder
from ..layout import BLOCK, HIDDEN, end_marker, manifest_path, padding, shard_name, sidecar_path
from ..manifest import Manifest, Recipe, read_manifest
from ..publish import PartLock, TemporaryFile, disk_errors
from ..sidecar import (
    TarFacts,
    build_table,
    member_names,
    place_columns,
    read_facts,
    read_metadata,
    read_table,
    write_sidecar,
    write_table,
)
from ..status import ShardSetInfo, complete_set
from ..writable import LocalWritableSet
from .shard_writer import gather_places
from .tar_chunk import TarChunk

_TAR, _ROWS = "recording.tar", "recording.parquet"


@dataclass
class _OpenShard:
    """The shard that still grows."""

    number: int
    size: int = 0
    tables: list[pa.Table] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def num_samples(self) -> int:
        return sum(len(table) for table in self.tables)


class RecordedSet:
    """The set of a recording. One process writes it.

    Use it as a context manager, and call `rewind` before the first `append`.
    """

    def __init__(self, directory: Path, plan: Manifest) -> None:
        self.directory, self.plan = directory, plan
        self.files, self.hidden = LocalWritableSet(directory), directory / HIDDEN
        self.image_size: int | None = None
        self._lock = PartLock(directory)
        self._descriptor: int | None = None
        self._open: _OpenShard | None = None

    def __enter__(self) -> RecordedSet:
        with disk_errors(self.directory):
            self._check_folder()
            self.hidden.mkdir(parents=True, exist_ok=True)
            self._lock.__enter__()
        try:
            self._begin()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._close_tar()
        self._lock.__exit__(None, None, None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of what samples were drawn for that its sidecars have."""
        return tuple(self.plan.recipe.values.get("columns", ()))

    @property
    def num_samples(self) -> int:
        """How many samples the set has so far."""
        assert self._open is not None, "rewind comes first"
        return self._open.number * self._full + self._open.num_samples

    @property
    def space(self) -> int:
        """How many samples the open shard still takes."""
        assert self._open is not None, "rewind comes first"
        return self._full - self._open.num_samples

    @property
    def _full(self) -> int:
        assert self.plan.samples_per_shard is not None, "recordings have shards of one size"
        return self.plan.samples_per_shard

    def append(self, chunk: TarChunk, columns: Mapping[str, pa.Array], image_size: int) -> None:
        """Add samples, at most `space`. The shard is published when it is full."""
        shard = self._open
        assert shard is not None and len(chunk.sizes) <= self.space, "rewind comes first; a chunk belongs to one shard"
        if self.image_size not in (None, image_size):
            raise ValueError(f"a recording of {self.image_size}-pixel images cannot take images of {image_size} pixels")
        self.image_size = image_size
        places = gather_places([chunk], [shard.size])
        seed = self.plan.recipe.values.get("seed")
        with disk_errors(self.directory):
            self._write(chunk.data)
            shard.tables.append(build_table(shard_name(shard.number), self.num_samples, seed, places, columns))
            if not self.space:
                self._publish()

    def commit(self, steps: int) -> None:
        """Flush everything that was appended to disk, as the samples of the first `steps` steps."""
        with disk_errors(self.directory):
            assert self._descriptor is not None, "rewind comes first"
            os.fsync(self._descriptor)
            self._write_rows()

    def rewind(self, steps: int) -> None:
        """Drop all samples after the first `steps` steps. 0 begins the recording anew.

        Raises:
            DataError: fewer steps were recorded, or the recording is damaged.
        """
        with disk_errors(self.directory):
            self._close_tar()
            published = self._published()
            if published and not steps and read_manifest(self.directory).complete:
                raise DataError(
                    f"--record {self.directory} holds a finished recording, and this run is new; give another folder"
                )
            number, table = self._find_cut(published, steps)
            last = table["step"][-1].as_py() if len(table) else self._last_step(number - 1)
            if last != steps - 1:
                raise DataError(
                    f"the recording {self.directory} ends after {last + 1} steps, and the run continues after {steps}; "
                    f"restore the recording, or start the run anew"
                )
            self._take_up(number, table, from_shard=number < published)
            self._mark_incomplete()
            for shard in reversed(range(number, published)):
                self._remove(shard)

    def finish(self) -> ShardSetInfo:
        """Publish the last shard and complete the set."""
        with disk_errors(self.directory):
            total = self.num_samples
            if total and self._open is not None and self._open.num_samples:
                self._publish()
            self._close_tar()
            for name in (_TAR, _ROWS):
                (self.hidden / name).unlink(missing_ok=True)
            plan = replace(self.plan, num_samples=total)
            self._mark_incomplete(num_samples=total)
            return complete_set(self.files, plan, self._lock)

    def _check_folder(self) -> None:
        if self.directory.exists() and not self.directory.is_dir():
            raise DataError(f"--record {self.directory} is a file; give a folder")
        others = [n for n in os.listdir(self.directory) if n != HIDDEN] if self.directory.exists() else []
        if others and not manifest_path(self.directory).exists():
            raise DataError(
                f"--record {self.directory} is not empty and holds no recording (it has {others[0]}); give a new folder"
            )

    def _begin(self) -> None:
        """Write the manifest of a new recording, or check that the folder holds this one.

        Raises:
            UsageError: the folder holds another recording or another kind of set.
        """
        if not manifest_path(self.directory).exists():
            self.plan.publish(self.files, self._lock, replace=False)
        found = read_manifest(self.directory)
        if self.columns and "columns" not in found.recipe.values:
            # It was begun before recordings had such columns, and all its sidecars are of one kind.
            values = {name: value for name, value in self.plan.recipe.values.items() if name != "columns"}
            self.plan = replace(self.plan, recipe=Recipe(values))
        lines = found.recipe.differences(self.plan.recipe)
        if found.kind != "recorded" or lines:
            what = "a recording of another run" if found.kind == "recorded" else "a shard set that was not recorded"
            raise UsageError(
                f"--record {self.directory} holds {what}; give another folder. It differs in\n  " + "\n  ".join(lines)
            )
        self.image_size = found.image_size

    def _published(self) -> int:
        """How many shards are published. A shard that a kill left half published or half removed is open again."""
        count = 0
        while sidecar_path(self.directory, shard_name(count)).exists():
            count += 1
        uncounted, part = self.directory / shard_name(count), self.hidden / _TAR
        if uncounted.exists() and not part.exists():
            os.rename(uncounted, part)
        uncounted.unlink(missing_ok=True)
        sync_folder(self.directory)
        return count

    def _find_cut(self, published: int, steps: int) -> tuple[int, pa.Table]:
        """Find the shard in which the first `steps` steps end, and its rows that stay.

        A shard that is not full becomes the open shard again, whether it was published or not.
        """
        for number in range(published):
            name = shard_name(number)
            facts, _ = read_facts(sidecar_path(self.directory, name))
            self.image_size = facts.image_size
            table = read_table(sidecar_path(self.directory, name))
            kept = _rows_before(table, steps)
            if len(kept) < self._full:
                return number, kept
        rows = self.hidden / _ROWS
        if rows.exists():
            metadata, _ = read_metadata(rows)
            if metadata["number"] == published:  # otherwise the rows belong to a shard that was published since
                self.image_size = self.image_size or metadata["image_size"]
                return published, _rows_before(read_table(rows), steps)
        return published, _empty()

    def _last_step(self, number: int) -> int:
        """The step of the last sample of a full shard; -1 before the first shard."""
        if number < 0:
            return -1
        return read_table(sidecar_path(self.directory, shard_name(number)), ["step"])["step"][-1].as_py()

    def _take_up(self, number: int, table: pa.Table, *, from_shard: bool) -> None:
        """Make shard `number` the open one, with the rows of `table`, from the published shard or from the open one."""
        size = _end_of(table, self.plan.views_per_sample)
        target, temporary = self.hidden / _TAR, self._lock.temporary(_TAR)
        source = self.directory / shard_name(number) if from_shard else target
        shard = _OpenShard(number, size, [table] if len(table) else [])
        with TemporaryFile(temporary) as file:
            if size:
                data = _read_members(source, size, table, self.plan.views_per_sample)
                shard.digest.update(data)
                file.write(data)
            file.finish()
            # A new file in any case: the old one may be the published shard under another name.
            file.publish(target, replace=True)
        self._open = shard
        self._descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._write_rows()

    def _mark_incomplete(self, num_samples: int = 0) -> None:
        found = read_manifest(self.directory)
        if found.complete or found.num_samples != num_samples:
            again = replace(found, complete=False, num_samples=num_samples, image_size=None, shards=())
            again.publish(self.files, self._lock, replace=True)

    def _remove(self, number: int) -> None:
        """Remove a shard: first its sidecar, without which it does not count, then its tar."""
        sidecar = sidecar_path(self.directory, shard_name(number))
        sidecar.unlink()
        sync_folder(sidecar.parent)
        (self.directory / shard_name(number)).unlink(missing_ok=True)
        sync_folder(self.directory)

    def _write(self, data: bytes) -> None:
        shard = self._open
        assert shard is not None and self._descriptor is not None, "rewind comes first"
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        shard.digest.update(data)
        shard.size += len(data)

    def _write_rows(self) -> None:
        shard = self._open
        assert shard is not None, "rewind comes first"
        table = pa.concat_tables(shard.tables) if shard.tables else _empty()
        rows = write_table(table, {"number": shard.number, "image_size": self.image_size})
        with TemporaryFile(self._lock.temporary(_ROWS)) as file:
            file.write(rows)
            file.finish()
            file.publish(self.hidden / _ROWS, replace=True)

    def _publish(self) -> None:
        """Publish the open shard, and begin the next one."""
        shard = self._open
        assert shard is not None and self._descriptor is not None and self.image_size is not None, "it has samples"
        self._write(end_marker(shard.size))
        os.fsync(self._descriptor)
        self._close_tar()
        name, part = shard_name(shard.number), self.hidden / _TAR
        sha256 = shard.digest.hexdigest()
        if file_sha256(part) != sha256:
            raise DataError(f"{part} does not hold what was written to it: the disk may be failing")
        facts = TarFacts(name, self.plan.recipe.hash, shard.size, sha256, self.image_size, self.plan.views_per_sample)
        sidecar = sidecar_path(self.directory, name)
        with TemporaryFile(self._lock.temporary(sidecar.name)) as file:
            file.write(write_sidecar(pa.concat_tables(shard.tables), facts))
            file.finish()
            os.rename(part, self.directory / name)
            sync_folder(self.directory)
            file.publish(sidecar)
        self._take_up(shard.number + 1, _empty(), from_shard=False)

    def _close_tar(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def plan_recorded_set(plan: Manifest) -> Manifest:
    """The manifest of a recording that begins, from that of a set. A recording does not know how long it will be."""
    return replace(plan, kind="recorded", num_samples=0)


def _empty() -> pa.Table:
    return pa.table({"step": pa.array([], pa.int64())})


def _rows_before(table: pa.Table, steps: int) -> pa.Table:
    return table.slice(0, int(np.searchsorted(table["step"].to_numpy(), steps)))


def _end_of(table: pa.Table, views: int) -> int:
    """Where the padding of the last member of the rows ends in the tar."""
    if not len(table):
        return 0
    names = place_columns(member_names(views)[-1])
    offset, size = (table[names[name]][-1].as_py() for name in ("offset", "size"))
    return offset + size + padding(size)


def _read_members(path: Path, size: int, table: pa.Table, views: int) -> bytes:
    """Read the first `size` bytes of a tar, and check every image of the rows.

    Raises:
        DataError: the tar is missing or too short, or an image is damaged.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except FileNotFoundError:
            raise DataError(f"{path} is missing, and the recording needs it to go on") from None
        data = file.read(size)
    view = memoryview(data)
    for names in map(place_columns, member_names(views)):
        columns = (table[names[name]].to_pylist() for name in ("offset", "size", "crc32", "header_crc32"))
        for row, (offset, length, crc32, header_crc32) in enumerate(zip(*columns, strict=True)):
            sums = zlib.crc32(view[offset : offset + length]), zlib.crc32(view[offset - BLOCK : offset])
            if sums != (crc32, header_crc32):
                raise DataError(f"sample {table['key'][row]} of {path} is damaged; the recording cannot go on from it")
    return data
