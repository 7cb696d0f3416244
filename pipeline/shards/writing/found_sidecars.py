"""The sidecars that are there when tars are indexed: what they hold beyond the tars is kept.

Columns such as `step`, `hardness` or `class` lie in sidecars alone. A sidecar that tells of the tar beside it keeps
them, whether the set's manifest is there or was lost.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from ...errors import DataError
from ..layout import HIDDEN, MANIFEST, SIDECAR_SUFFIX, sidecar_path
from ..sidecar import TarFacts, member_names, place_schema, read_bytes, read_facts, read_table, write_sidecar


class FoundSidecars:
    """The sidecars in a folder whose tars are indexed: ask `sidecar` of each tar, then `check`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._fitting: set[Path] = set()
        self._columns: dict[str, list[str]] = {}

    def sidecar(self, scanned: pa.Table, facts: TarFacts) -> bytes:
        """The bytes of a tar's sidecar: of the one that is there, if that tells of this tar and more than a scan does.

        Args:
            scanned: the rows that a scan of the tar gives. The samples have their numbers in any case.
            facts: of the tar.
        """
        path = sidecar_path(self.directory, facts.shard)
        self._columns[facts.shard] = []
        found = _read_fitting(path, scanned, facts)
        if found is None:
            return write_sidecar(scanned, facts)
        self._fitting.add(path)
        table, own_facts = found
        columns = [name for name in table.column_names if name not in scanned.column_names]
        self._columns[facts.shard] = columns
        if not columns and table["seed"].null_count == len(table):
            return write_sidecar(scanned, facts)
        numbers = scanned["sample_index"]
        if table["sample_index"].equals(numbers):
            return read_bytes(path)
        place = table.column_names.index("sample_index")
        return write_sidecar(table.set_column(place, "sample_index", numbers), own_facts)

    def check(self, *, manifest_lost: bool) -> None:
        """Check that no columns would be lost.

        Args:
            manifest_lost: whether the folder has no manifest, so that nothing else tells what its sidecars were.

        Raises:
            DataError: some sidecars have columns that others do not have; or, without a manifest, a sidecar does not
                tell of a tar that is there.
        """
        self._check_columns()
        for path in sorted((self.directory / HIDDEN).glob("[!.]*" + SIDECAR_SUFFIX)) if manifest_lost else ():
            if path not in self._fitting and path.name != "recording.parquet":
                raise DataError(
                    f"{path} is damaged, or its tar is missing or another one now, and {MANIFEST} was lost: put the "
                    f"tar or the sidecar back, or move {path} away if what it held may be lost"
                )

    def _check_columns(self) -> None:
        most = max(self._columns, key=lambda name: len(self._columns[name]))
        for name, found in self._columns.items():
            if missing := [one for one in self._columns[most] if one not in found]:
                raise DataError(
                    f"{self.directory / HIDDEN} has {', '.join(missing)} of the samples of {most}, and not of those of "
                    f"{name}, and tars cannot give them: put the sidecar of {name} back, or move {name} away, or move "
                    f"{HIDDEN} away to adopt all tars as plain images"
                )


def _read_fitting(path: Path, scanned: pa.Table, facts: TarFacts) -> tuple[pa.Table, TarFacts] | None:
    """A sidecar's rows and facts, if there is one and it tells of the tar as it is."""
    try:
        found, table = read_facts(path)[0], read_table(path)
    except DataError:
        return None
    alike = (found.shard, found.size, found.sha256) == (facts.shard, facts.size, facts.sha256)
    same = ["key", "shard", *place_schema(member_names(facts.views_per_sample))]
    if not alike or not {*same, "sample_index", "seed"} <= set(table.column_names):
        return None
    return (table, found) if table.select(same).equals(scanned.select(same)) else None
