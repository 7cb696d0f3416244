"""Reads a shard set: finds images by number, reads them by offset, checks every checksum, and decodes them in bulk.

`ShardSet` gives all images of a sample, `ShardStore` is an image store of the first ones.

Shapes: N samples of V images, S pixels a side.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import deflate
import numpy as np
import pyarrow as pa
from torch import Tensor

from ..data.labels import encode_labels
from ..data.store import ImageStore, Indices
from ..errors import DataError
from ..images.decoding import SAFE_FORMATS, decode_images, image_dimensions
from ..images.fast_decoding import FAST_DECODERS, decode_in_threads
from .layout import BLOCK, sample_key
from .locator import SampleLocator, check_complete
from .manifest import Recipe
from .network import is_url
from .readable import LocalReadableSet
from .remote import RemoteReadableSet
from .status import ShardSetInfo, set_info


def open_shard_set(
    path: str | Path, *, where: str | None = None, image_size: int | None = None, mixed_size: int | None = None
) -> ShardSet:
    """Open a complete shard set.

    Args:
        path: the set's folder, or a URL that fsspec opens (the set is then read through a cache, see remote.py).
        where: an SQL condition on the columns of sidecars and side tables, such as `hardness > 2`. The set that is
            returned has only the samples that meet it, numbered anew in the same order.
        image_size: pixels a side that the images are brought to; None is their own size.
        mixed_size: pixels a side that the images are brought to if they differ in size and `image_size` is None.

    Raises:
        DataError: there is no set, or it is not complete or damaged, or its images differ in size and no size is given.
        UsageError: the condition cannot be evaluated, or no sample meets it.
    """
    folder = RemoteReadableSet(str(path)) if is_url(path) else LocalReadableSet(Path(path))
    check_complete(folder)
    locator = SampleLocator(folder)
    rows = None
    if where is not None:
        from .where import select_rows  # with DuckDB, which is large and for this alone

        rows = select_rows(locator, where)
    if image_size is None and locator.manifest.image_size is None:
        image_size = mixed_size
    return ShardSet(locator, rows=rows, image_size=image_size)


class ShardSet:
    """The samples of a shard set, numbered from 0. It can be pickled, and used after a fork.

    Attributes:
        locator: finds the samples of the whole set.
        selected: (len,) int64, the indices of the samples that are selected; None if all are.
        path: the set's folder or URL.
        image_size: pixels a side of what is read.
        views_per_sample: V.
    """

    def __init__(
        self, locator: SampleLocator, *, rows: np.ndarray | None = None, image_size: int | None = None
    ) -> None:
        self.locator = locator
        self.selected = rows
        self.path = locator.folder.name
        self.views_per_sample = locator.manifest.views_per_sample
        native = locator.manifest.image_size
        size = native if image_size is None else image_size
        if size is None:
            raise DataError(f"the images of {self.path} differ in size: pass --image-size to bring them to one size")
        self.image_size = size
        self._resizes = native != self.image_size

    def __len__(self) -> int:
        return len(self.locator) if self.selected is None else len(self.selected)

    @property
    def info(self) -> ShardSetInfo:
        """What the set is. The numbers are those of the whole set, even if only some samples are selected."""
        return set_info(self.path if self.remote else Path(self.path), self.locator.manifest)

    @property
    def recipe(self) -> Recipe:
        """What the samples are a function of, besides their index."""
        return self.locator.manifest.recipe

    @property
    def remote(self) -> bool:
        """Whether the set is elsewhere, so that its tars are fetched one by one."""
        return self.locator.folder.remote

    @property
    def shard_sizes(self) -> np.ndarray:
        """(shards,) int64, how many of the selected samples each shard has."""
        if self.selected is None:
            return np.diff(self.locator.starts)
        return np.bincount(self.locator.locate(self.selected)[0], minlength=len(self.locator.shards))

    def files(self) -> list[Path]:
        """The set's tars and sidecars; none where it is elsewhere, so that nothing is fetched to look at them."""
        folder = self.locator.folder
        return [] if self.remote else [f(shard) for shard in self.locator.shards for f in (folder.tar, folder.sidecar)]

    def selection(self) -> bytes:
        """What tells the samples that are selected from others of the set; nothing where all are."""
        if self.selected is None:
            return b""
        return f"selected of {len(self.locator)} ".encode() + np.ascontiguousarray(self.selected, dtype="<i8").tobytes()

    @property
    def selected_in_words(self) -> str:
        """How many samples, and where some are left out, what tells the choice from others."""
        if self.selected is None:
            return f"{len(self):,} samples"
        return f"{len(self):,} samples (choice {blake2b(self.selection(), digest_size=4).hexdigest()})"

    def check_cache(self, num_shards: int) -> None:
        """Raises UsageError if the set is elsewhere and the cache cannot hold any `num_shards` of its tars at once."""
        self.locator.folder.check_cache(num_shards)

    def sample_indices(self, indices: Indices) -> np.ndarray:
        """The sample indices (N,) int64 in the whole set.

        Raises:
            IndexError: an index is outside [0, len).
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
            DataError: an image, its tar or its sidecar is damaged. The error names the sample's key and shard.
            IndexError: an index is outside [0, len).
        """
        samples = self.sample_indices(indices)
        views = self.views_per_sample if views is None else views
        files = self._read_files(samples, views)
        images = self._decode(files, np.repeat(samples, views))
        return images.unflatten(0, (len(samples), views))

    def read_encoded(self, indices: Indices) -> list[list[bytes]]:
        """The image files of samples, V for each. Their checksums are verified, and they are not decoded."""
        files = self._read_files(self.sample_indices(indices), self.views_per_sample)
        step = self.views_per_sample
        return [[bytes(file) for file in files[i : i + step]] for i in range(0, len(files), step)]

    def prefetch(self, indices: Indices) -> None:
        """If the set is elsewhere, begin to fetch the tars of samples that will be read soon. Returns at once."""
        shards, _ = self.locator.locate(self.sample_indices(indices))
        self.locator.folder.prefetch([self.locator.shards[shard] for shard in np.unique(shards)])

    def keys(self, indices: Indices) -> list[str]:
        """The samples' keys."""
        if self.locator.manifest.kind != "adopted":
            return [sample_key(int(sample)) for sample in self.sample_indices(indices)]
        return self.table(indices, ["key"])["key"].to_pylist()

    def table(self, indices: Indices | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of the sidecars and side tables, in the order asked for. All rows and columns by default."""
        if indices is None and self.selected is None:
            return pa.concat_tables(self.locator.tables(columns))
        samples = self.sample_indices(np.arange(len(self)) if indices is None else indices)
        shards, rows = self.locator.locate(samples)
        order = np.argsort(shards, kind="stable")
        parts = []
        for shard in np.unique(shards):
            parts.append(self.locator.rows(int(shard), columns).take(rows[order][shards[order] == shard]))
        if not parts:
            return self.locator.rows(0, columns).slice(0, 0)
        return pa.concat_tables(parts).take(np.argsort(order, kind="stable"))

    def column(self, name: str) -> np.ndarray:
        """A column of the sidecars or side tables, with a value for each sample."""
        return self.table(columns=[name])[name].to_numpy()

    def _read_files(self, samples: np.ndarray, views: int) -> list[memoryview]:
        """The image files of samples, `views` for each, with verified checksums."""
        shards, rows = self.locator.locate(samples)
        files: list[memoryview] = [memoryview(b"")] * (len(samples) * views)
        order = np.lexsort((rows, shards))  # that of the disk
        with self.locator.lock:
            for part in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
                if not len(part):
                    continue
                shard = int(shards[part[0]])
                places, descriptor = self.locator.places(shard), self.locator.descriptor(shard)
                for view in range(views):
                    facts = zip(part.tolist(), *places.at(rows[part], view), strict=True)
                    for i, *place in facts:
                        file = read_checked(descriptor, *place)
                        if isinstance(file, str):
                            raise DataError(f"{self.locator.describe(int(samples[i]))} {file}")
                        files[i * views + view] = file
        return files

    def _decode(self, files: list[memoryview], samples: np.ndarray) -> Tensor:
        """Decode files to images (N, 3, S, S); file i belongs to sample `samples[i]`."""
        size = self.image_size
        if self._resizes:
            return decode_images(
                files, image_size=size, describe=lambda i: self.locator.describe(int(samples[i])), formats=SAFE_FORMATS
            )
        kind = self.locator.manifest.image_format or ""
        if kind not in FAST_DECODERS:
            return self._decode_others(files, samples)
        images, decoded = decode_in_threads(kind, files, size)
        left = np.flatnonzero(~decoded)
        if len(left):
            images[left] = self._decode_others([files[i] for i in left], samples[left])
        return images

    def _decode_others(self, files: list[memoryview], samples: np.ndarray) -> Tensor:
        """Decode files of any format. The first must have the set's size, and all others the first one's."""
        if files:
            self._check_dimensions(files[0], int(samples[0]))
        return decode_images(
            files, describe=lambda i: self.locator.describe(int(samples[i])), formats=SAFE_FORMATS
        ).reshape(len(files), 3, self.image_size, self.image_size)

    def _check_dimensions(self, file: memoryview, sample: int) -> None:
        """Check a file's size in pixels before it is decoded, since a small file can hold a huge image."""
        try:
            width, height = image_dimensions(file, SAFE_FORMATS)
        except ValueError as error:
            raise DataError(f"cannot read {self.locator.describe(sample)}: {error}") from error
        if (width, height) != (self.image_size, self.image_size):
            raise DataError(
                f"{self.locator.describe(sample)} is {width} x {height} pixels, and the set's images are "
                f"{self.image_size} x {self.image_size}"
            )


def read_checked(descriptor: int, offset: int, size: int, crc32: int, header_crc32: int) -> memoryview | str:
    """Read an image file and verify its checksums. Returns what is wrong with it if they differ."""
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


class ShardStore(ImageStore):
    """A shard set as an image store: one image a sample, the first one of a pair."""

    def __init__(self, shards: ShardSet) -> None:
        self.shards = shards
        self.name = shards.path
        self.image_size = shards.image_size
        # What adopted tars say, or what the samples of a generator were drawn for.
        for column in [name for name in ("label", "class") if name in shards.locator.column_names()][:1]:
            words = shards.table(columns=[column])[column].to_pylist()
            if None not in words:
                self.labels, self.class_names = encode_labels(words, lambda: ())

    def __len__(self) -> int:
        return len(self.shards)

    def read(self, indices: Indices) -> Tensor:
        return self.shards.read_views(indices, views=1)[:, 0]

    def keys(self, indices: Indices) -> list[str]:
        return self.shards.keys(indices)

    def short_sides(self, indices: np.ndarray) -> np.ndarray | None:
        size = self.shards.locator.manifest.image_size
        return None if size is None else np.full(len(indices), size)

    def files(self) -> list[Path]:
        return self.shards.files()

    def _identity(self) -> bytes:
        return self.shards.selection()


def open_shard_store(path: str | Path, image_size: int | None = None, where: str | None = None) -> ShardStore:
    """Open a shard set as an image store; see `open_shard_set`."""
    return ShardStore(open_shard_set(path, where=where, image_size=image_size))
