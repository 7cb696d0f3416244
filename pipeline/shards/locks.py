"""One writer for each part of a set. The kernel holds the locks, so those of dead processes are no longer held."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from types import TracebackType

from ..errors import DataError
from .layout import HIDDEN

_TEMPORARY = ".tmp-"
_OWNED = re.compile(r"(lock-|\.tmp-)(?P<part>\d+-of-\d+)(-.*)?")


class PartLock:
    """The right to write part `index` of `count` of the set in a folder.

    Raises, on entering:
        DataError: another process that is alive is writing this part, or writes the set in another number of parts.
    """

    def __init__(self, directory: Path, index: int = 0, count: int = 1) -> None:
        self.hidden = directory / HIDDEN
        self.directory = directory
        self.part = f"{index}-of-{count}"
        self.count = count
        self._descriptor: int | None = None

    def __enter__(self) -> PartLock:
        self._descriptor = _acquire(self._path(self.part))
        if self._descriptor is None:
            raise DataError(
                f"{self.directory} is being written by another process (part {self.part}); wait for it to end"
            )
        try:
            self._clean_up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._descriptor is not None:
            _release(self._path(self.part), self._descriptor)
            self._descriptor = None

    def temporary(self, name: str) -> Path:
        """Where this part may write a file that is to be called `name`."""
        return self.hidden / f"{_TEMPORARY}{self.part}-{name}"

    def _path(self, part: str) -> Path:
        return self.hidden / f"lock-{part}"

    def _clean_up(self) -> None:
        """Remove what dead writers left; their locks and temporary files carry the name of their part."""
        found = [_OWNED.fullmatch(entry.name) for entry in self.hidden.iterdir()]
        for part in sorted({match["part"] for match in found if match}):
            if part == self.part:
                self._remove_temporary(part)
                continue
            descriptor = _acquire(self._path(part))
            if descriptor is not None:
                try:
                    self._remove_temporary(part)
                finally:
                    _release(self._path(part), descriptor)
            elif not part.endswith(f"-of-{self.count}"):
                raise DataError(
                    f"{self.directory} is being written by another process, which has part {part}; give all jobs the "
                    f"same --num-jobs, or wait for it to end"
                )

    def _remove_temporary(self, part: str) -> None:
        for entry in self.hidden.glob(f"{_TEMPORARY}{part}-*"):
            entry.unlink(missing_ok=True)


def remove_leftovers(directory: Path) -> None:
    """Remove what dead writers left in a set that is complete. What cannot be removed does no harm."""
    if any(_OWNED.fullmatch(name) for name in os.listdir(directory / HIDDEN)):
        # A writer that is alive is about to remove its own; a folder may be read-only.
        with contextlib.suppress(DataError, OSError), PartLock(directory):
            pass


def _acquire(path: Path) -> int | None:
    """Lock the file; None if a process that is alive has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its holder removed it between our opening and our locking


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _release(path: Path, descriptor: int) -> None:
    """Remove the lock file, then let go of it; in this order no two processes can have it."""
    path.unlink(missing_ok=True)
    os.close(descriptor)
