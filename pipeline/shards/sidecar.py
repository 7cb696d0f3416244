"""The sidecar of a shard: a Parquet file with a row for each sample, where WebDataset readers do not look.

Columns: `key`, `shard` (the tar's file name), `sample_index` and `seed`; for each image its place: its `offset` and
`size` in the tar, the `crc32` of its bytes and the `header_crc32` of the tar header before it. The place of a sample's
second image is in `offset_view1` and so on, that of a member `KEY.cls` in `offset_cls`. What a sample was drawn for is
in `class`, `prompt` and `guidance`, where the generator has them. Recordings add `step`, `hardness`,
`pair_similarity`, `latent_index` and `generator`.

The file's metadata hold the facts of the tar (`TarFacts`). So a set that is being written needs no list of its shards,
and a manifest that was lost can be made again around the sidecars, but for the recipe, of which they know the hash.

Shapes: n samples in a shard, V images and L members beside them (`labels`) each.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from .layout import BLOCK, end_marker, sample_key
from .manifest import Manifest, ShardEntry

_METADATA = b"synthcl"
MAX_IMAGE_BYTES = 1 << 26
"""The largest image file that is read. Ours; 4096 x 4096 pixels take about half as much."""

_PLACE = {"offset": pa.int64(), "size": pa.int64(), "crc32": pa.uint32(), "header_crc32": pa.uint32()}
CONDITIONS = {
    "class": pa.int64(),
    "prompt": pa.string(),
    "guidance": pa.float32(),
    "anchor": pa.string(),
    "anchor_index": pa.int64(),
}
"""The columns of what samples were drawn for, with their types. The last two are of variations of real images: the key
of the image, and its position in its set."""
RECORDED = {
    "step": pa.int64(),
    "hardness": pa.float32(),
    "pair_similarity": pa.float32(),
    "latent_index": pa.int64(),
    "generator": pa.string(),
}
"""The columns that recordings add, with their types."""


@dataclass(frozen=True)
class TarFacts:
    """What a sidecar says about its tar.

    Attributes:
        shard: the tar's file name.
        recipe_hash: the hash of the set's recipe.
        size: the tar's bytes.
        sha256: the tar's checksum.
        image_size: pixels a side.
        views_per_sample: images a sample.
    """

    shard: str
    recipe_hash: str
    size: int
    sha256: str
    image_size: int
    views_per_sample: int


def member_names(views_per_sample: int, labels: Sequence[str] = ()) -> list[str]:
    """What the columns of places call a sample's members, in the order of the tar: "", `view1`, ..., `cls`, `txt`."""
    return ["", *(f"view{view}" for view in range(1, views_per_sample)), *labels]


def place_columns(member: str) -> dict[str, str]:
    """The names of the columns with a member's place: `offset` -> `offset`, `offset_view1` or `offset_cls`."""
    return {name: f"{name}_{member}" if member else name for name in _PLACE}


def place_schema(members: Sequence[str]) -> dict[str, pa.DataType]:
    """The columns with the places of a sample's members (see `member_names`), and their types."""
    return {column: _PLACE[name] for member in members for name, column in place_columns(member).items()}


def build_table(
    shard: str,
    first_index: int,
    seed: int | None,
    places: Mapping[str, np.ndarray],
    extra: Mapping[str, pa.Array] | None = None,
    labels: Sequence[str] = (),
) -> pa.Table:
    """Build the rows of a sidecar.

    Args:
        shard: the tar's file name.
        first_index: the index of its first sample.
        seed: the seed of all its samples.
        places: `offset`, `size`, `crc32` and `header_crc32`, each (n, V + L).
        extra: more columns.
        labels: extensions of the L members that follow the images.
    """
    n, count = places["offset"].shape
    columns: dict[str, pa.Array] = {
        "key": pa.array([sample_key(first_index + i) for i in range(n)], pa.string()),
        "shard": pa.array([shard] * n, pa.string()),
        "sample_index": pa.array(np.arange(first_index, first_index + n), pa.int64()),
        "seed": pa.array([seed] * n, pa.int64()),
    }
    for number, member in enumerate(member_names(count - len(labels), labels)):
        for name, column in place_columns(member).items():
            columns[column] = pa.array(places[name][:, number], _PLACE[name])
    return pa.table({**columns, **(extra or {})})


def write_table(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """The bytes of a Parquet file with a table. The same rows give the same bytes."""
    columns = {name: table[name].combine_chunks() for name in table.column_names}  # this also drops metadata of fields
    table = pa.table(columns, metadata={_METADATA: json.dumps(dict(metadata), sort_keys=True).encode()})
    delta = {"key": "DELTA_BYTE_ARRAY", "sample_index": "DELTA_BINARY_PACKED"}
    delta |= {name: "DELTA_BINARY_PACKED" for name in table.column_names if name.startswith(("offset", "size"))}
    plain = {name for name in table.column_names if name.startswith(("crc32", "header_crc32"))}
    repeated = [name for name in table.column_names if name not in delta and name not in plain]
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=repeated, column_encoding=delta or None)
    return buffer.getvalue()


def write_sidecar(table: pa.Table, facts: TarFacts) -> bytes:
    """The bytes of a sidecar."""
    return write_table(table, asdict(facts))


def read_table(
    path: Path, columns: Sequence[str] | None = None, *, num_rows: int | None = None, sha256: str | None = None
) -> pa.Table:
    """Read a sidecar or a side table.

    Args:
        path: the file.
        columns: the columns to read; None for all.
        num_rows: how many rows the file must have.
        sha256: the checksum that the file must have.

    Raises:
        DataError: the file is missing or damaged, or it is not what the arguments say.
    """
    file = _open(path, sha256)
    try:
        if num_rows is not None and file.metadata.num_rows != num_rows:
            raise DataError(f"{path} has {file.metadata.num_rows:,} rows where the shard has {num_rows:,} samples")
        missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
        if missing:
            raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(file.schema_arrow.names)}")
        table = file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if num_rows is not None and len(table) != num_rows:
        raise DataError(f"{path} is damaged: it holds {len(table):,} rows and says {num_rows:,}")
    return table


def read_schema(path: Path, *, sha256: str | None = None) -> pa.Schema:
    """Read the columns' names and types of a sidecar or a side table; see `read_table`."""
    return _open(path, sha256).schema_arrow


def _open(path: Path, sha256: str | None) -> pq.ParquetFile:
    data = read_bytes(path)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path} is damaged: its checksum is not the one in the set's manifest")
    try:
        return pq.ParquetFile(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def read_metadata(path: Path) -> tuple[dict[str, Any], int]:
    """Read the metadata that `write_table` wrote, and the number of rows.

    Raises:
        DataError: the file is missing or damaged.
    """
    return parse_metadata(read_bytes(path), str(path))


def parse_metadata(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """`read_metadata` for a file's bytes. `name` is what errors call the file."""
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        return json.loads((file.schema_arrow.metadata or {})[_METADATA]), file.metadata.num_rows
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{name} is damaged, or was not written by synthcl: {error}") from None


def read_facts(path: Path) -> tuple[TarFacts, int]:
    """Read what a sidecar says about its tar, and the number of samples.

    Raises:
        DataError: the sidecar is missing or damaged.
    """
    return parse_facts(read_bytes(path), str(path))


def parse_facts(data: bytes, name: str) -> tuple[TarFacts, int]:
    """`read_facts` for a sidecar's bytes. `name` is what errors call the sidecar."""
    metadata, rows = parse_metadata(data, name)
    try:
        return TarFacts(**metadata), rows
    except TypeError as error:
        raise DataError(f"{name} is not the sidecar of a shard: {error}") from None


def read_bytes(path: Path) -> bytes:
    """Read a file of a set, which must not be a link.

    Raises:
        DataError: the file is missing, a link, or unreadable.
    """
    if path.is_symlink():
        raise DataError(f"{path} is a link; a shard set keeps everything in its own folder")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Places:
    """Where the members of a shard lie, the images of a sample first, in 24 bytes a member.

    Attributes:
        offsets: (n, V + L) int64, where each member's bytes begin in the tar.
        sizes: (n, V + L) int64, how many bytes it has.
        crc32: (n, V + L) uint32, the checksum of those bytes.
        header_crc32: (n, V + L) uint32, the checksum of the tar header before them.
    """

    offsets: np.ndarray
    sizes: np.ndarray
    crc32: np.ndarray
    header_crc32: np.ndarray

    def at(self, rows: np.ndarray, member: int) -> tuple[list[int], list[int], list[int], list[int]]:
        """The offset, size, checksum and header checksum of member number `member` of each of some rows."""
        columns = (self.offsets, self.sizes, self.crc32, self.header_crc32)
        return tuple(column[rows, member].tolist() for column in columns)


def read_places(path: Path, shard: ShardEntry, manifest: Manifest) -> Places:
    """Read the places in a sidecar. Every number is checked, since the sidecar may be a stranger's.

    Raises:
        DataError: the sidecar is missing or damaged, or its places lie outside the tar, overlap, or leave gaps.
    """
    members = member_names(manifest.views_per_sample, manifest.labels)
    table = read_table(path, list(place_schema(members)), num_rows=shard.num_samples, sha256=shard.sidecar_sha256)
    columns = {}
    for name, kind in _PLACE.items():
        parts = [table[place_columns(member)[name]] for member in members]
        if any(part.type != kind or part.null_count for part in parts):
            raise DataError(f"{path} is not sound: column {name!r} does not hold whole numbers of type {kind}")
        columns[name] = np.stack([part.to_numpy() for part in parts], axis=1)
    places = Places(columns["offset"], columns["size"], columns["crc32"], columns["header_crc32"])
    _check_bounds(path, places, shard)
    if manifest.kind != "adopted":
        _check_contiguous(path, places, shard)
    return places


def _check_bounds(path: Path, places: Places, shard: ShardEntry) -> None:
    starts, sizes = places.offsets.reshape(-1), places.sizes.reshape(-1)
    if not len(starts):
        return
    if sizes.min() < 1 or sizes.max() > MAX_IMAGE_BYTES:
        raise DataError(f"{path} is not sound: it tells of members of {sizes.min():,} to {sizes.max():,} bytes")
    if starts.min() < BLOCK or starts.max() > shard.size or (starts + sizes).max() > shard.size:
        raise DataError(f"{path} is not sound: it points outside {shard.name}, which has {shard.size:,} bytes")
    # Tars of others may hold a sample's images in any order, such as view10 before view2.
    order = np.argsort(starts, kind="stable")
    starts, sizes = starts[order], sizes[order]
    if (starts[1:] < starts[:-1] + sizes[:-1] + BLOCK).any():
        raise DataError(f"{path} is not sound: members overlap")


def _check_contiguous(path: Path, places: Places, shard: ShardEntry) -> None:
    """Check that a tar of our own holds the images without gaps, so that nothing else can hide between them."""
    sizes = places.sizes.reshape(-1)
    ends = np.cumsum(BLOCK + sizes + (-sizes) % BLOCK)
    starts = np.concatenate(([0], ends[:-1])) + BLOCK
    length = int(ends[-1]) if len(ends) else 0
    if (places.offsets.reshape(-1) != starts).any() or shard.size != length + len(end_marker(length)):
        raise DataError(f"{path} is not sound: it leaves gaps in {shard.name}")


def label_files(values: pa.Array) -> list[bytes]:
    """The contents of the members that hold a column's values: as text."""
    return [str(value).encode() for value in values.to_pylist()]
