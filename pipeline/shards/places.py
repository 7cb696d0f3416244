"""Where the images of a shard lie in its tar: the columns of its sidecar that reading needs, checked before use.

Shapes: n samples in the shard, V images each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from .layout import BLOCK, end_marker
from .setfile import SetFile, ShardEntry
from .sidecar import place_columns, place_schema, read_table

MAX_IMAGE_BYTES = 1 << 26
"""The largest image file that is read. Ours; 4096 x 4096 pixels take about half as much."""


@dataclass(frozen=True)
class Places:
    """Where the images of a shard lie: 24 bytes an image.

    Attributes:
        offsets: (n, V) int64, of the image's bytes in the tar.
        sizes: (n, V) int64, bytes.
        crc32: (n, V) uint32, of those bytes.
        header_crc32: (n, V) uint32, of the tar header before them.
    """

    offsets: np.ndarray
    sizes: np.ndarray
    crc32: np.ndarray
    header_crc32: np.ndarray

    def at(self, rows: np.ndarray, view: int) -> tuple[list[int], list[int], list[int], list[int]]:
        """Offset, size, checksum and header checksum of an image of each of some rows."""
        columns = (self.offsets, self.sizes, self.crc32, self.header_crc32)
        return tuple(column[rows, view].tolist() for column in columns)


def read_places(path: Path, shard: ShardEntry, content: SetFile) -> Places:
    """The places in a sidecar, which may be a stranger's.

    Raises:
        DataError: the sidecar is missing or damaged, or its numbers point outside the tar, overlap, or leave gaps.
    """
    views = content.views_per_sample
    table = read_table(path, list(place_schema(views)), num_rows=shard.num_samples, sha256=shard.sidecar_sha256)
    columns = {}
    for name, kind in place_schema(1).items():
        parts = [table[place_columns(view)[name]] for view in range(views)]
        if any(part.type != kind or part.null_count for part in parts):
            raise DataError(f"{path} is not sound: column {name!r} is not whole numbers of type {kind}")
        columns[name] = np.stack([part.to_numpy() for part in parts], axis=1)
    places = Places(columns["offset"], columns["size"], columns["crc32"], columns["header_crc32"])
    _check_bounds(path, places, shard)
    if content.kind != "adopted":
        _check_contiguous(path, places, shard)
    return places


def _check_bounds(path: Path, places: Places, shard: ShardEntry) -> None:
    starts, sizes = places.offsets.reshape(-1), places.sizes.reshape(-1)
    if not len(starts):
        return
    if sizes.min() < 1 or sizes.max() > MAX_IMAGE_BYTES:
        raise DataError(f"{path} is not sound: images of {sizes.min():,} to {sizes.max():,} bytes")
    if starts.min() < BLOCK or starts.max() > shard.size or (starts + sizes).max() > shard.size:
        raise DataError(f"{path} is not sound: it points outside {shard.name}, which has {shard.size:,} bytes")
    if (starts[1:] < starts[:-1] + sizes[:-1] + BLOCK).any():
        raise DataError(f"{path} is not sound: images overlap, or are not in the order of the tar")


def _check_contiguous(path: Path, places: Places, shard: ShardEntry) -> None:
    """Nothing but images of the set is in the tars that synthcl wrote, so nothing else can hide there."""
    sizes = places.sizes.reshape(-1)
    ends = np.cumsum(BLOCK + sizes + (-sizes) % BLOCK)
    starts = np.concatenate(([0], ends[:-1])) + BLOCK
    length = int(ends[-1]) if len(ends) else 0
    if (places.offsets.reshape(-1) != starts).any() or shard.size != length + len(end_marker(length)):
        raise DataError(f"{path} is not sound: it leaves gaps in {shard.name}")
