"""The files of checkpoints: which there are, and which are whole. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import file_sha256


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; whether they are whole is not looked at."""
    return sorted(folder.glob("step-*"))


def steps_of(checkpoint: Path) -> int:
    """How many steps were done at a checkpoint, by its name."""
    return int(checkpoint.name.rpartition("-")[2])


def read_manifest(checkpoint: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, whose files are as they were written.

    Raises:
        DataError: a file is missing or differs from what was written.
    """
    try:
        manifest: dict[str, Any] = json.loads((checkpoint / "manifest.json").read_text())
        for name, facts in manifest["files"].items():
            file = checkpoint / name
            if file.stat().st_size != facts["size"] or file_sha256(file) != facts["sha256"]:
                raise DataError(f"checkpoint {checkpoint} is damaged: {name} is not what was written")
    except (OSError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"checkpoint {checkpoint} is damaged: {error}") from None
    return manifest


def is_whole(checkpoint: Path) -> bool:
    """Whether its files are as they were written."""
    try:
        read_manifest(checkpoint)
    except DataError:
        return False
    return True
