"""The results of a comparison: one JSON object a line, appended as they come, by any number of processes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FILE = "results.jsonl"


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a row in one write, so that rows of two processes do not mix, and not to a line that a kill cut off."""
    line = json.dumps(row, allow_nan=False) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> list[dict[str, Any]]:
    """All rows that are whole; a line that was cut off is passed over, and said on stderr."""
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{path}, line {number}: cut off, passed over", file=sys.stderr)
    return rows
