"""Conditions on samples (`--where`): selects the samples whose columns meet one.

A condition is an SQL expression on the columns of sidecars and side tables, as DuckDB reads it (`hardness > 2 and
sample_index < 10000`). It comes from a config, perhaps from someone else's, so it may only be a pure function of a
sample's columns. DuckDB's own parser tells what is in it; subqueries, and functions that read anything else (the clock,
randomness, settings, files), are refused. DuckDB itself runs without access to files and settings, in bounded memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ..errors import UsageError
from .locator import SampleLocator

_BATCH_ROWS = 1_000_000  # ours: how many rows are evaluated at once
_MAX_LENGTH = 10_000  # ours, characters
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # so that SQL does not see Python's variables
    "memory_limit": "1GB",
    "threads": "2",
    "lock_configuration": "true",
}


def select_rows(locator: SampleLocator, where: str) -> np.ndarray:
    """The ascending indices, int64, of the samples that meet a condition.

    Args:
        locator: finds the samples of the set.
        where: the condition.

    Raises:
        UsageError: the condition is not SQL, reads an unknown column or something other than columns, or does not give
            yes or no; or no sample meets it.
    """
    names = locator.column_names()
    with duckdb.connect(":memory:", config=_SETTINGS) as connection:
        try:
            wanted = _columns(_parse(connection, where), names, where)
            found = [_evaluate(connection, table, where) for table in _batches(locator, ["sample_index", *wanted])]
        except duckdb.Error as error:
            raise _refused(where, re.sub(r"^\w+ Error: ", "", str(error).splitlines()[0])) from None
    rows = np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    if not len(rows):
        raise UsageError(f"--where {where!r} selects none of the {len(locator):,} samples of {locator.folder.name}")
    return rows


@dataclass(frozen=True)
class _Condition:
    """What a condition is made of. Names are in lower case."""

    columns: frozenset[str]
    functions: frozenset[str]
    classes: frozenset[str]


def _parse(connection: duckdb.DuckDBPyConnection, where: str) -> _Condition:
    """Find out what a condition is made of, with DuckDB's own parser.

    Raises:
        UsageError: it is not a condition, or reads more than a sample's columns.
    """
    if len(where) > _MAX_LENGTH:
        raise UsageError(f"--where has {len(where):,} characters, more than the {_MAX_LENGTH:,} that are read")
    duckdb.SQLExpression(where)  # raises an error unless this is one expression with nothing after it
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [f"SELECT 1 WHERE ({where}\n)"]).fetchone() or ("{}",)
    try:
        tree = json.loads(text)
        if tree.get("error", True):
            raise _refused(where, tree.get("error_message", "it cannot be read"))
        nodes = list(_walk(tree["statements"][0]["node"]["where_clause"]))
    except RecursionError:
        raise _refused(where, "it is nested too deeply") from None
    parts = _Condition(
        columns=frozenset(node["column_names"][-1].lower() for node in nodes if "column_names" in node),
        functions=frozenset(node["function_name"].lower() for node in nodes if "function_name" in node),
        classes=frozenset(node.get("class", "") for node in nodes),
    )
    if "SUBQUERY" in parts.classes:
        raise _refused(where, "a condition reads the columns of one sample, and cannot hold a SELECT")
    impure = parts.functions & _impure_functions(connection)
    if impure:
        raise _refused(where, f"{min(impure)}() does not depend on the sample alone")
    return parts


def _impure_functions(connection: duckdb.DuckDBPyConnection) -> set[str]:
    # Not operators: some forms of theirs, for time stamps, follow the time zone; those for numbers are pure.
    query = r"""
        SELECT lower(function_name) FROM duckdb_functions()
        WHERE stability <> 'CONSISTENT' AND regexp_matches(function_name, '^\w')
    """
    return {name for (name,) in connection.execute(query).fetchall()}


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from _walk(child)


def _columns(parts: _Condition, names: list[str], where: str) -> list[str]:
    known = {name.lower(): name for name in names}
    unknown = sorted(parts.columns - set(known))
    if unknown:
        raise _refused(where, f"there is no column {unknown[0]!r}; there are {', '.join(names)}")
    if not parts.columns:
        raise _refused(where, f"it names no column; there are {', '.join(names)}")
    return [known[name] for name in sorted(parts.columns - {"sample_index"})]


def _batches(locator: SampleLocator, columns: list[str]) -> Iterator[pa.Table]:
    """The columns of all samples, about a million rows at a time."""
    tables: list[pa.Table] = []
    for table in locator.tables(columns):
        tables.append(table)
        if sum(map(len, tables)) >= _BATCH_ROWS:
            yield pa.concat_tables(tables)
            tables = []
    if tables:
        yield pa.concat_tables(tables)


def _evaluate(connection: duckdb.DuckDBPyConnection, table: pa.Table, where: str) -> np.ndarray:
    samples = connection.from_arrow(table)
    condition = duckdb.SQLExpression(where)
    kind = samples.select(condition).types[0]
    if str(kind) != "BOOLEAN":
        raise _refused(where, f"it gives a value of type {kind}, not yes or no")
    return samples.filter(condition).select("sample_index").fetchnumpy()["sample_index"]


def _refused(where: str, why: str) -> UsageError:
    return UsageError(f"--where {where!r} cannot be used: {why}")
