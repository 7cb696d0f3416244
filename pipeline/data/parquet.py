"""Hugging Face-style Parquet: an image column (a struct with `bytes`, or plain binary) and perhaps a label column, of
whole numbers or words and without gaps: any other is no labels, and what needs labels says why.

Row groups are read whole and kept, least recently used out first, up to a quarter of the free RAM; so a set that is
smaller (CIFAR-10 is 47 MB) is read once and then lies in RAM, and image files are handed on without a copy.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import DataError
from ..runtime.capacity import available_ram
from .encoded import EncodedStore
from .labels import encode_labels
from .paths import relative_names
from .store import Indices, as_indices

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "labels", "fine_label")
_LABELS_ARE = "labels are whole numbers or words"
_CACHE_FRACTION = 0.25  # of the free RAM; ours


class ParquetStore(EncodedStore):
    """The rows of one or several Parquet files, in order.

    Args:
        files: the files of one split.
        all_files: those of all splits, which together say what classes there are.
        name: the SPEC.
        image_size: see `EncodedStore`.

    Raises:
        DataError: a file that is no Parquet, no image column, no rows.
    """

    def __init__(self, files: Sequence[Path], all_files: Sequence[Path], name: str, image_size: int | None) -> None:
        self.name = name
        self._paths = list(files)
        self._names = relative_names(self._paths)
        self._files = [_open(path) for path in self._paths]
        self._columns = [_image_column(file, path) for file, path in zip(self._files, self._paths, strict=True)]
        self._groups = [(f, g) for f, file in enumerate(self._files) for g in range(file.num_row_groups)]
        sizes = [self._files[f].metadata.row_group(g).num_rows for f, g in self._groups]
        self._starts = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
        self._file_starts = np.cumsum([0] + [file.metadata.num_rows for file in self._files])
        if not len(self):
            raise DataError(f"{name} has no rows: give Parquet files with images in them")
        self._cache: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._cache_bytes = int(available_ram() * _CACHE_FRACTION)
        self._lock = threading.Lock()
        self._read_labels(all_files)
        self._settle_size(image_size)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read_encoded(self, indices: np.ndarray) -> list[bytes | memoryview]:
        groups = np.searchsorted(self._starts, indices, side="right") - 1
        encoded: list[bytes | memoryview] = [b""] * len(indices)
        order = np.argsort(groups, kind="stable")  # a row group at a time, however small the cache
        columns = {}
        for i in order:
            group = int(groups[i])
            if group not in columns:
                columns = {group: self._row_group(group)}
            value = columns[group][int(indices[i] - self._starts[group])]
            if not value.is_valid:
                raise DataError(f"{self.describe(indices[i])} holds no image bytes (they may be stored by path only)")
            encoded[i] = memoryview(value.as_buffer()).cast("B")  # Arrow's bytes are signed
        return encoded

    def release(self) -> None:
        with self._lock:
            self._cache.clear()

    def files(self) -> Sequence[Path]:
        return self._paths

    def describe(self, index: int) -> str:
        file, row = self._locate(index)
        return f"row {row} of {self._paths[file]}"

    def keys(self, indices: Indices) -> list[str]:
        located = map(self._locate, as_indices(indices, len(self)))
        return [f"{self._names[file]}:{row}" for file, row in located]

    def _read_labels(self, all_files: Sequence[Path]) -> None:
        schemas = [file.schema_arrow for file in self._files]
        name = _label_column(schemas)
        if name is None:
            return
        # By their type first: of a column of lists or files the values are not to be read.
        self.labels_problem = _problem_of_types([schema.field(name).type for schema in schemas], name)
        if self.labels_problem is not None:
            return
        values = _column(self._files, name)
        self.labels_problem = _problem_of_values(values, name)
        if self.labels_problem is not None:
            return
        self.labels, words = encode_labels(values, lambda: _words(all_files, name))
        self.class_names = words or _class_names(self._files[0], name)

    def _locate(self, index: int) -> tuple[int, int]:
        """(file, row in it) of an image, both from 0."""
        file = int(np.searchsorted(self._file_starts, index, side="right")) - 1
        return file, int(index - self._file_starts[file])

    def _row_group(self, number: int) -> pa.ChunkedArray:
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
            else:
                self._cache[number] = self._load(number)
                while len(self._cache) > 1 and sum(c.nbytes for c in self._cache.values()) > self._cache_bytes:
                    self._cache.popitem(last=False)
            return self._cache[number]

    def _load(self, number: int) -> pa.ChunkedArray:
        file, group = self._groups[number]
        column = self._columns[file]
        try:
            # Without threads of its own: this may run in a forked worker, where Arrow's pool would not answer.
            table = self._files[file].read_row_group(group, columns=[column], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"row group {group} of {self._paths[file]} is damaged: {error}") from error
        values = table.column(0)
        return pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no Parquet file, or a damaged one: {error}") from error


def _image_column(file: pq.ParquetFile, path: Path) -> str:
    """The leaf that holds the image files: of a column with a usual name, else of any struct with `bytes`."""
    fields = list(file.schema_arrow)
    fields.sort(key=lambda field: field.name not in _IMAGE_COLUMNS)  # stable: usual names first
    for field in fields:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return f"{field.name}.bytes"
        if field.name in _IMAGE_COLUMNS and (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)):
            return field.name
    columns = ", ".join(f"{field.name} ({field.type})" for field in file.schema_arrow)
    raise DataError(
        f"{path} has no image column (a struct with a field 'bytes', or binary named img or image); it has: {columns}"
    )


def lacks_labels(files: Sequence[Path]) -> bool:
    """Whether Parquet files have no column that labels could be in, told by their schemas alone.

    Raises:
        DataError: a file that is no Parquet.
    """
    schemas = [_open(path).schema_arrow for path in files]
    name = _label_column(schemas)
    return name is None or _problem_of_types([schema.field(name).type for schema in schemas], name) is not None


def _label_column(schemas: Sequence[pa.Schema]) -> str | None:
    """The column of labels that files of these schemas share; None without one."""
    name = next((name for name in _LABEL_COLUMNS if name in schemas[0].names), None)
    return name if all(name in schema.names for schema in schemas) else None


def _problem_of_types(types: Sequence[pa.DataType], name: str) -> str | None:
    """What keeps columns of such types from being labels; None where nothing does. Floating-point numbers may be whole,
    as pandas writes them."""
    allowed = (
        pa.types.is_integer, pa.types.is_boolean, pa.types.is_floating, pa.types.is_string, pa.types.is_large_string,
        pa.types.is_string_view, pa.types.is_null,
    )  # fmt: skip
    for kind in types:
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(is_one(plain) for is_one in allowed):
            return f"its column {name!r} is of the type {kind}; {_LABELS_ARE}"
    return None


def _problem_of_values(values: Sequence[int | float | str | None], name: str) -> str | None:
    """What keeps such values from being labels; None where nothing does."""
    if None in values:
        return f"its column {name!r} is empty in {values.count(None):,} of {len(values):,} rows"
    fraction = next((value for value in values if isinstance(value, float) and not value.is_integer()), None)
    return None if fraction is None else f"its column {name!r} holds {fraction}; {_LABELS_ARE}"


def _column(files: Sequence[pq.ParquetFile], name: str) -> list:
    try:
        return [v for file in files if name in file.schema_arrow.names for v in file.read([name]).column(0).to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"the column {name!r} is damaged: {error}") from error


def _words(files: Sequence[Path], name: str) -> set[str]:
    return {str(value) for value in _column([_open(path) for path in files], name) if value is not None}


def _class_names(file: pq.ParquetFile, column: str) -> list[str] | None:
    """The names that the `datasets` library writes into the schema's metadata, if it did."""
    try:
        features = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, ValueError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
