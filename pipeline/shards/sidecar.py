"""A shard's sidecar: one Parquet row a sample, out of sight of WebDataset readers.

Columns: `key`, `shard` (file name), `sample_index`, `seed`, and for each image `offset` and `size` in the tar, `crc32`
of its bytes and `header_crc32` of the tar header before it; the second image of a pair has `offset_view1` and so on.
Recordings add `step`, `hardness`, `pair_similarity`, `latent_index` and `generator`.

The file's metadata hold the facts of the tar (`TarFacts`), so that the set's index can be made from the sidecars alone.
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
from .layout import sample_key

_METADATA = b"synthcl"
_PLACE = {"offset": pa.int64(), "size": pa.int64(), "crc32": pa.uint32(), "header_crc32": pa.uint32()}
RECORDED = {
    "step": pa.int64(),
    "hardness": pa.float32(),
    "pair_similarity": pa.float32(),
    "latent_index": pa.int64(),
    "generator": pa.string(),
}
"""What a recording has besides."""


@dataclass(frozen=True)
class TarFacts:
    """What a sidecar says of its tar.

    Attributes:
        shard: file name of the tar.
        recipe_hash: of the set.
        size: bytes of the tar.
        sha256: of the tar.
        image_size: pixels a side.
        views_per_sample: images a sample.
    """

    shard: str
    recipe_hash: str
    size: int
    sha256: str
    image_size: int
    views_per_sample: int


def place_columns(view: int) -> dict[str, str]:
    """The names of the columns that place image `view` of a sample: `offset` -> `offset` or `offset_view1`."""
    return {name: name if view == 0 else f"{name}_view{view}" for name in _PLACE}


def place_schema(views_per_sample: int) -> dict[str, pa.DataType]:
    """The columns that place the images, with their types."""
    return {column: _PLACE[name] for view in range(views_per_sample) for name, column in place_columns(view).items()}


def build_table(
    shard: str,
    first_index: int,
    seed: int | None,
    places: Mapping[str, np.ndarray],
    extra: Mapping[str, pa.Array] | None = None,
) -> pa.Table:
    """The rows of a shard.

    Args:
        shard: file name of the tar.
        first_index: of its first sample.
        seed: of all its samples.
        places: `offset`, `size`, `crc32` and `header_crc32`, each (n, V).
        extra: more columns.
    """
    n, views = places["offset"].shape
    columns: dict[str, pa.Array] = {
        "key": pa.array([sample_key(first_index + i) for i in range(n)], pa.string()),
        "shard": pa.array([shard] * n, pa.string()),
        "sample_index": pa.array(np.arange(first_index, first_index + n), pa.int64()),
        "seed": pa.array([seed] * n, pa.int64()),
    }
    for view in range(views):
        for name, column in place_columns(view).items():
            columns[column] = pa.array(places[name][:, view], _PLACE[name])
    return pa.table({**columns, **(extra or {})})


def write_table(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """A table as the bytes of a Parquet file; the same rows give the same bytes."""
    columns = {name: table[name].combine_chunks() for name in table.column_names}  # also rids fields of notes
    table = pa.table(columns, metadata={_METADATA: json.dumps(dict(metadata), sort_keys=True).encode()})
    delta = {"key": "DELTA_BYTE_ARRAY", "sample_index": "DELTA_BINARY_PACKED"}
    delta |= {name: "DELTA_BINARY_PACKED" for name in table.column_names if name.startswith(("offset", "size"))}
    plain = {name for name in table.column_names if name.startswith(("crc32", "header_crc32"))}
    repeated = [name for name in table.column_names if name not in delta and name not in plain]
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=repeated, column_encoding=delta or None)
    return buffer.getvalue()


def write_sidecar(table: pa.Table, facts: TarFacts) -> bytes:
    """The bytes of a shard's sidecar."""
    return write_table(table, asdict(facts))


def read_table(
    path: Path, columns: Sequence[str] | None = None, *, num_rows: int | None = None, sha256: str | None = None
) -> pa.Table:
    """A sidecar or side table.

    Args:
        path: the file.
        columns: those to read; None for all.
        num_rows: how many rows there must be.
        sha256: what the file's checksum must be.

    Raises:
        DataError: it is missing, damaged or not what the set's index says.
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
    """The columns of a sidecar or side table; see `read_table`."""
    return _open(path, sha256).schema_arrow


def _open(path: Path, sha256: str | None) -> pq.ParquetFile:
    data = read_bytes(path)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path} is damaged: its checksum is not the one in the set's index")
    try:
        return pq.ParquetFile(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def read_metadata(path: Path) -> tuple[dict[str, Any], int]:
    """What `write_table` was given as metadata, and the number of rows.

    Raises:
        DataError: it is missing or damaged.
    """
    return parse_metadata(read_bytes(path), str(path))


def parse_metadata(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """`read_metadata` of a file's bytes."""
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        return json.loads((file.schema_arrow.metadata or {})[_METADATA]), file.metadata.num_rows
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{name} is damaged, or was not written by synthcl: {error}") from None


def read_facts(path: Path) -> tuple[TarFacts, int]:
    """What a sidecar says of its tar, and the number of samples.

    Raises:
        DataError: it is missing or damaged.
    """
    return parse_facts(read_bytes(path), str(path))


def parse_facts(data: bytes, name: str) -> tuple[TarFacts, int]:
    """`read_facts` of a sidecar's bytes."""
    metadata, rows = parse_metadata(data, name)
    try:
        return TarFacts(**metadata), rows
    except TypeError as error:
        raise DataError(f"{name} is no sidecar of a shard: {error}") from None


def read_bytes(path: Path) -> bytes:
    """A file of the set, which must be a plain file in its place.

    Raises:
        DataError: it is missing, a link, or unreadable.
    """
    if path.is_symlink():
        raise DataError(f"{path} is a link; a shard set keeps everything in its own folder")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
