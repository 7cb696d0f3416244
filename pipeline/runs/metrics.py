"""`metrics.jsonl`: the numbers that a run logs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import write_file
from .saving import writing_to


class MetricsLog:
    """`metrics.jsonl`: one row a logged step, without gaps or doubles over any number of resumes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: dict[str, Any]) -> None:
        """Add a row, which has a `step`."""
        with writing_to(self.path.parent), open(self.path, "a") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")

    def rewind(self, steps: int) -> None:
        """Drop the rows of steps after `steps`, which a resumed run will write again, and a row cut short."""
        if not self.path.exists():
            return
        kept = [json.dumps(row, allow_nan=False) for row in self.read() if row["step"] <= steps]
        write_file(self.path, "".join(line + "\n" for line in kept))

    def commit(self, steps: int) -> None:
        """Have the rows of the first `steps` steps on disk, before a checkpoint that counts on them."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """The rows, oldest first; a last row cut short by a crash is left out.

        Raises:
            DataError: the file cannot be read, or a line is no text or no row; the message names it.
        """
        if not self.path.exists():
            return []
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from None
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line.decode())
            except json.JSONDecodeError:
                break
            except UnicodeDecodeError as error:
                raise self._damaged(number, str(error)) from None
            if not isinstance(row, dict) or type(row.get("step")) is not int:
                raise self._damaged(number, "it is no row with a step")
            rows.append(row)
        return rows

    def _damaged(self, number: int, reason: str) -> DataError:
        return DataError(f"{self.path} is damaged (line {number}: {reason}): remove that line")
