"""Writing files so that nothing half-written looks whole: under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp-"
"""How names of unfinished files and folders begin."""


def write_file(path: Path, data: bytes | str) -> None:
    """Write `path` whole or not at all; an earlier file of that name is replaced."""
    temporary = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}"
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """`write_file` of a JSON text."""
    write_file(path, json.dumps(value, indent=2, allow_nan=False, default=str) + "\n")


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` write a folder's files, then give it its name; an earlier folder of that name is replaced."""
    temporary = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}"
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
            else:
                sync_folder(file)
        sync_folder(temporary)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(path.parent)


def remove_temporary(folder: Path) -> None:
    """Remove what an interrupted `write_file` or `write_folder` left in a folder."""
    for left in folder.glob(f"{TEMPORARY}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on disk, as a rename alone does not."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
