"""Side tables: columns that are added to a set after it was written, such as the samples' hardness for an encoder.

A side table is a Parquet file with one row for each sample of the set, in the samples' order. Tars and sidecars stay as
they are. Its columns are read like those of the sidecars; a column whose name is taken is read as TABLE_COLUMN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..errors import DataError, UsageError
from .layout import HIDDEN, SIDECAR_SUFFIX, TABLES
from .manifest import read_manifest
from .publish import TemporaryFile, disk_errors
from .readable import check_files
from .sidecar import parse_metadata, read_metadata, read_schema, read_table, write_table
from .writable import open_writable

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,50}")


def table_name(name: str) -> str:
    """The name in the set of the file of the side table `name`.

    Raises:
        UsageError: the name cannot be part of a column's name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"the name of a side table has letters, digits and underscores, not {name!r}")
    return f"{HIDDEN}/{TABLES}/{name}{SIDECAR_SUFFIX}"


def check_free(directory: str | Path, name: str, *, overwrite: bool = False) -> Path | str:
    """The path or URL for a new side table of that name, in the set at `directory`.

    Raises:
        UsageError: the set has a table of that name and `overwrite` is false, or the name cannot be used, or sets
            cannot be written at such a URL.
    """
    files, file = open_writable(directory), table_name(name)
    if not overwrite and files.size(file) is not None:
        try:
            rows = f", of {parse_metadata(files.read(file) or b'', file)[1]:,} samples"
        except DataError:
            rows = ""
        raise UsageError(
            f"{files.place(file)} is there already{rows}; give --overwrite to replace it, or the new table another name"
        )
    return files.place(file)


def write_side_table(
    directory: str | Path, name: str, columns: Mapping[str, np.ndarray], *, overwrite: bool = False
) -> Path | str:
    """Add a side table to a set.

    Args:
        directory: the set's folder or URL.
        name: the table's name.
        columns: arrays with a value for each sample, by their names.
        overwrite: whether to replace a table of that name.

    Returns:
        The file that was written.

    Raises:
        UsageError: the set has a table of that name, and `overwrite` is false.
        DataError: the set is not complete, or another process writes it.
    """
    files, path = open_writable(directory), check_free(directory, name, overwrite=overwrite)
    manifest = read_manifest(files)
    check_files(files, manifest)
    for column, values in columns.items():
        if not _NAME.fullmatch(column) or len(values) != manifest.num_samples:
            raise ValueError(f"column {column!r} has {len(values)} values for {manifest.num_samples} samples")
    table = pa.table({"sample_index": np.arange(manifest.num_samples), **columns})
    with disk_errors(files.path), files.part() as lock, TemporaryFile(lock.temporary(f"{name}.parquet")) as file:
        file.write(write_table(table, {"recipe_hash": manifest.recipe.hash}))
        file.finish()
        files.publish(file, table_name(name), replace=overwrite)
    return path


class SideTables:
    """The columns of a set's side tables. A column is read when it is first asked for, and then kept.

    Args:
        files: the tables' files, by the tables' names.
        taken: the columns of the sidecars.
        recipe_hash: the hash of the set's recipe.
        num_samples: how many samples the set has.

    Raises:
        DataError: a table is damaged. A table that was written for another state of the set keeps its columns' names,
            and they cannot be read.
    """

    def __init__(self, files: Mapping[str, Path], taken: Sequence[str], recipe_hash: str, num_samples: int) -> None:
        self._num_samples = num_samples
        self._homes: dict[str, tuple[Path, str]] = {}
        self._columns: dict[str, pa.ChunkedArray] = {}
        self._outdated: dict[Path, str] = {}
        for name, path in sorted(files.items()):
            metadata, rows = read_metadata(path)
            again = f"score the set again with --overwrite, or remove {path}"
            if metadata.get("recipe_hash") != recipe_hash:
                self._outdated[path] = f"{path} belongs to another set, or to this one with other images: {again}"
            elif rows != num_samples:
                self._outdated[path] = (
                    f"scored when the set had {rows:,} samples, and now it has {num_samples:,}: {again}"
                )
            for column in read_schema(path).names:
                if column != "sample_index":
                    free = column not in taken and column not in self._homes
                    self._homes[column if free else f"{name}_{column}"] = (path, column)

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return list(self._homes)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column, with a value for each sample of the set.

        Raises:
            DataError: its table was written for another state of the set, or is damaged.
        """
        if name not in self._columns:
            path, column = self._homes[name]
            if path in self._outdated:
                raise DataError(f"the column {name!r} cannot be used: {self._outdated[path]}")
            self._columns[name] = read_table(path, [column], num_rows=self._num_samples)[column]
        return self._columns[name]
