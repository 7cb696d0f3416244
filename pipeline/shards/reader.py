"""Reading a shard set: images by number, by offset, every checksum verified, decoded in bulk.

Shapes: N samples of V = 1 or 2 images, S pixels a side.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import deflate
import numpy as np
import pyarrow as pa
from torch import Tensor

from ..data.store import Indices
from ..errors import DataError
from ..images.decoding import SAFE_FORMATS, decode_images, image_dimensions
from ..images.fast_decoding import FAST_DECODERS
from .finish import ShardSetInfo, describe
from .folder import LocalFolder
from .index import SetIndex, check_complete
from .layout import BLOCK, sample_key
from .recipe import Recipe
from .remote import RemoteFolder, is_url
from .select import select_rows


def open_shard_set(
    path: str | Path, *, where: str | None = None, image_size: int | None = None, mixed_size: int | None = None
) -> ShardSet:
    """Open a complete shard set.

    Args:
        path: its folder, or a URL that fsspec opens (then through a cache, see remote.py).
        where: an SQL condition on the columns of its sidecars and side tables, such as `hardness > 2`; only samples
            that meet it are in the set that is returned, numbered anew in the same order.
        image_size: pixels a side that the images are brought to; their own by default.
        mixed_size: the same, for a set whose images differ in size alone.

    Raises:
        DataError: no set, an incomplete or damaged one, or one whose images differ in size and none is asked for.
        UsageError: a condition that cannot be evaluated, or that no sample meets.
    """
    folder = RemoteFolder(str(path)) if is_url(path) else LocalFolder(Path(path))
    check_complete(folder)
    index = SetIndex(folder)
    rows = None if where is None else select_rows(index, where)
    if image_size is None and index.content.image_size is None:
        image_size = mixed_size
    return ShardSet(index, rows=rows, image_size=image_size)


class ShardSet:
    """The samples of a shard set, numbered from 0. It can be pickled, and used after a fork.

    Attributes:
        path: its folder or URL.
        image_size: pixels a side of what is read.
        views_per_sample: V.
    """

    def __init__(self, index: SetIndex, *, rows: np.ndarray | None = None, image_size: int | None = None) -> None:
        self.index = index
        self.selected = rows
        self.path = index.folder.name
        self.views_per_sample = index.content.views_per_sample
        native = index.content.image_size
        size = native if image_size is None else image_size
        if size is None:
            raise DataError(f"the images of {self.path} differ in size: pass --image-size to bring them to one size")
        self.image_size = size
        self._resizes = native != self.image_size

    def __len__(self) -> int:
        return len(self.index) if self.selected is None else len(self.selected)

    @property
    def info(self) -> ShardSetInfo:
        """What the set is; its numbers are those of the whole set, also where only some samples are selected."""
        return describe(Path(self.path), self.index.content)

    @property
    def recipe(self) -> Recipe:
        return self.index.content.recipe

    @property
    def remote(self) -> bool:
        """Whether the set lies elsewhere, so that its tars are fetched one by one."""
        return isinstance(self.index.folder, RemoteFolder)

    @property
    def shard_sizes(self) -> np.ndarray:
        """(shards,) int64: how many of the samples here are in each shard."""
        if self.selected is None:
            return np.diff(self.index.starts)
        return np.bincount(self.index.locate(self.selected)[0], minlength=len(self.index.shards))

    def check_cache(self, num_shards: int) -> None:
        """Raises UsageError if the cache cannot hold any `num_shards` tars of a set that lies elsewhere at once."""
        if isinstance(self.index.folder, RemoteFolder):
            self.index.folder.check_cache(num_shards)

    def sample_indices(self, indices: Indices) -> np.ndarray:
        """The sample indices (N,) int64 in the whole set.

        Raises:
            IndexError: an index outside [0, len).
        """
        numbers = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise IndexError(f"{self.path} has samples 0 to {len(self) - 1}, not {numbers.min()} to {numbers.max()}")
        return numbers if self.selected is None else self.selected[numbers]

    def read_views(self, indices: Indices, views: int | None = None) -> Tensor:
        """Images (N, V, 3, S, S) uint8, in the order asked for; repeats are allowed.

        Args:
            indices: numbers of samples.
            views: how many images of each sample, from the first on; all by default.

        Raises:
            DataError: an image that is damaged, or whose tar or sidecar is, named with its key and shard.
            IndexError: an index outside [0, len).
        """
        samples = self.sample_indices(indices)
        views = self.views_per_sample if views is None else views
        files = self._read_files(samples, views)
        images = self._decode(files, np.repeat(samples, views))
        return images.unflatten(0, (len(samples), views))

    def read_encoded(self, indices: Indices) -> list[list[bytes]]:
        """The image files of samples, V for each, checked but not decoded."""
        files = self._read_files(self.sample_indices(indices), self.views_per_sample)
        step = self.views_per_sample
        return [[bytes(file) for file in files[i : i + step]] for i in range(0, len(files), step)]

    def prefetch(self, indices: Indices) -> None:
        """Begin to fetch the shards of samples that will be read soon, if the set is elsewhere. Returns at once."""
        shards, _ = self.index.locate(self.sample_indices(indices))
        self.index.folder.prefetch([self.index.shards[shard] for shard in np.unique(shards)])

    def keys(self, indices: Indices) -> list[str]:
        """The samples' keys."""
        if self.index.content.kind != "adopted":
            return [sample_key(int(sample)) for sample in self.sample_indices(indices)]
        return self.table(indices, ["key"])["key"].to_pylist()

    def table(self, indices: Indices | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of sidecars and side tables, in the order asked for; all rows and columns by default."""
        if indices is None and self.selected is None:
            return pa.concat_tables(self.index.tables(columns))
        samples = self.sample_indices(np.arange(len(self)) if indices is None else indices)
        shards, rows = self.index.locate(samples)
        order = np.argsort(shards, kind="stable")
        parts = []
        for shard in np.unique(shards):
            parts.append(self.index.rows(int(shard), columns).take(rows[order][shards[order] == shard]))
        if not parts:
            return self.index.rows(0, columns).slice(0, 0)
        return pa.concat_tables(parts).take(np.argsort(order, kind="stable"))

    def column(self, name: str) -> np.ndarray:
        """A column of sidecars or side tables, a value a sample."""
        return self.table(columns=[name])[name].to_numpy()

    def _read_files(self, samples: np.ndarray, views: int) -> list[memoryview]:
        """The checked image files of samples, `views` for each."""
        shards, rows = self.index.locate(samples)
        files: list[memoryview] = [memoryview(b"")] * (len(samples) * views)
        order = np.lexsort((rows, shards))  # that of the disk
        with self.index.lock:
            for part in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
                if not len(part):
                    continue
                shard = int(shards[part[0]])
                places, descriptor = self.index.places(shard), self.index.descriptor(shard)
                for view in range(views):
                    facts = zip(part.tolist(), *places.at(rows[part], view), strict=True)
                    for i, *place in facts:
                        file = read_checked(descriptor, *place)
                        if isinstance(file, str):
                            raise DataError(f"{self.index.describe(int(samples[i]))} {file}")
                        files[i * views + view] = file
        return files

    def _decode(self, files: list[memoryview], samples: np.ndarray) -> Tensor:
        """Images (N, 3, S, S) of files that belong to samples (N,)."""
        size = self.image_size
        if self._resizes:
            return decode_images(
                files, image_size=size, describe=lambda i: self.index.describe(int(samples[i])), formats=SAFE_FORMATS
            )
        decode = FAST_DECODERS.get(self.index.content.image_format or "")
        if decode is None:
            return self._decode_others(files, samples)
        images, decoded = decode(files, size)
        left = np.flatnonzero(~decoded)
        if len(left):
            images[left] = self._decode_others([files[i] for i in left], samples[left])
        return images

    def _decode_others(self, files: list[memoryview], samples: np.ndarray) -> Tensor:
        """Images (N, 3, S, S) of files of any kind. The first must have the set's size, and the others its own."""
        if files:
            self._check_dimensions(files[0], int(samples[0]))
        return decode_images(
            files, describe=lambda i: self.index.describe(int(samples[i])), formats=SAFE_FORMATS
        ).reshape(len(files), 3, self.image_size, self.image_size)

    def _check_dimensions(self, file: memoryview, sample: int) -> None:
        """Before it is unpacked: a small file can hold a huge image."""
        try:
            width, height = image_dimensions(file, SAFE_FORMATS)
        except ValueError as error:
            raise DataError(f"cannot read {self.index.describe(sample)}: {error}") from error
        if (width, height) != (self.image_size, self.image_size):
            raise DataError(
                f"{self.index.describe(sample)} is {width} x {height} pixels, and the set's images are "
                f"{self.image_size} x {self.image_size}"
            )


def read_checked(descriptor: int, offset: int, size: int, crc32: int, header_crc32: int) -> memoryview | str:
    """An image file whose checksum is right, or what is wrong with it."""
    try:
        data = memoryview(os.pread(descriptor, BLOCK + size, offset - BLOCK))
    except OSError as error:
        return f"cannot be read: {error.strerror} (at byte {offset:,})"
    if len(data) != BLOCK + size:
        return "is cut short: the tar has shrunk since it was opened"
    if deflate.crc32(data[:BLOCK]) != header_crc32:
        return f"is damaged: the tar header before it is not what was written (byte {offset - BLOCK:,})"
    file = data[BLOCK:]
    if deflate.crc32(file) != crc32:
        return f"is damaged: its checksum is not that of its bytes (at byte {offset:,})"
    return file
