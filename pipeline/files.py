"""Writing files so that nothing half-written looks whole: under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import DataError

TEMPORARY = ".tmp-"
"""How names of unfinished files and folders begin."""
EARLIER = ".old-"
"""How names of folders begin whose place another is about to take."""
_BLOCK = 1 << 20  # bytes read at once; ours


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


def check_folder(path: Path) -> None:
    """Raises DataError unless there is a folder of this name."""
    if path.is_dir():
        return
    raise DataError(f"{path} is a file; give a folder" if path.exists() else f"there is no folder {path}")


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        advice: what to do if it is damaged, the end of a sentence.

    Raises:
        DataError: it cannot be read, or holds no JSON object; the message names it.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}): {advice}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} is damaged (it holds no JSON object): {advice}")
    return content


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` write a folder's files, then give it its name; an earlier folder of that name is replaced, and where
    the name is a link, the folder that it leads to.

    The earlier folder is renamed, the new one takes its name, then the earlier one is removed. What a kill leaves

    - before the first renaming is the earlier folder as it was;
    - between the two is no folder of that name, and both beside it: the earlier one as `.old-NAME-...`, to which the
      next `write_folder` of that name, or `remove_temporary`, gives its name back;
    - after the second is the new folder, and beside it as `.old-NAME-...` what is left of the earlier one, which they
      remove.

    Raises:
        OSError: it cannot be written, or cannot take its name; the earlier folder is there as it was.
    """
    path = Path(os.path.realpath(path))
    _settle_earlier(path)
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
        if path.is_dir():
            os.rename(path, path.parent / f"{EARLIER}{path.name}-{uuid.uuid4().hex[:8]}")
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        _settle_earlier(path)
        shutil.rmtree(temporary, ignore_errors=True)


def _settle_earlier(path: Path) -> None:
    """Of earlier folders of this name that were renamed: give one its name back if there is no folder of that name, and
    remove the others."""
    for earlier in path.parent.glob(f"{EARLIER}{glob.escape(path.name)}-????????"):
        if path.exists():
            shutil.rmtree(earlier, ignore_errors=True)
        else:
            os.rename(earlier, path)


def remove_temporary(folder: Path) -> None:
    """Remove what an interrupted `write_file` or `write_folder` left in a folder, where an earlier folder gets its name
    back if no new one has it."""
    for earlier in folder.glob(f"{EARLIER}?*-????????"):
        _settle_earlier(folder / earlier.name.removeprefix(EARLIER).rpartition("-")[0])
    for left in folder.glob(f"{TEMPORARY}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on disk, as a rename alone does not."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
