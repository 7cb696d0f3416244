"""Publishing the files of a set: each appears whole or not at all, replaces no other, and has one writer at a time.

`TemporaryFile` is written under a temporary name inside the hidden folder, flushed to disk, read back and compared,
and only then linked to its name: `link` fails if the name is taken, which `rename` does not. Then the folder is
flushed.

`PartLock` lets one process write a part of a set. The kernel holds the lock (`flock`), so a process that dies lets go
of it. The holder removes the lock's file with the lock, since a finished set holds its samples and nothing else; who
takes a lock looks whether its file was removed meanwhile. (The package filelock, 4.2, leaves the file. If the holder
removes it, an attempt of another process at that moment fails, though nobody holds the lock.)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ..errors import DataError
from ..files import file_sha256, sync_folder
from .layout import HIDDEN


class TemporaryFile:
    """A file that is being written. Leaving the context without `publish` removes it.

    Attributes:
        size: bytes written so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    def __enter__(self) -> TemporaryFile:
        self._file = open(self.path, "wb")
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._file is not None:
                _close_quietly(self._file)
        finally:
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        assert self._file is not None, "the file is open between __enter__ and finish"
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written, in hexadecimal."""
        return self._digest.hexdigest()

    def finish(self) -> None:
        """Flush the file to disk, close it, and compare what the disk holds with what was written.

        Raises:
            OSError: the disk is full or fails.
            DataError: the disk holds something else.
        """
        file, self._file = self._file, None
        assert file is not None, "finish is called once"
        with file:
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):  # so that the check reads the disk, not the cache
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if file_sha256(self.path) != self.sha256:
            raise DataError(f"{self.path} does not hold what was written to it: the disk may be failing")

    def publish(self, target: Path, *, replace: bool = False) -> None:
        """Give the finished file its name.

        Args:
            target: the path, in the same file system.
            replace: whether to replace a file that has that name.

        Raises:
            DataError: another file has that name, and is not to be replaced.
        """
        if replace:
            os.replace(self.path, target)
        else:
            self._link(target)
        sync_folder(target.parent)

    def _link(self, target: Path) -> None:
        try:
            os.link(self.path, target)
        except FileExistsError:
            # A writer that was killed before it wrote the sidecar left the same bytes; other bytes are not ours.
            if target.is_symlink() or file_sha256(target) != self.sha256:
                raise DataError(
                    f"{target} is there already, without a sidecar, and holds something else than it should: move it "
                    f"away, then run the same command again"
                ) from None
        except OSError:
            # The file system has no hard links. The lock on this part of the set keeps other writers away.
            if target.exists():
                raise DataError(f"{target} is there already: move it away, then run the same command again") from None
            os.rename(self.path, target)


@contextlib.contextmanager
def disk_errors(directory: Path | str) -> Iterator[None]:
    """Turn errors of the disk (it is full, or may not be written) into a `DataError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to {directory}: {error.strerror or error}; what was published is safe, and the same command "
            f"continues"
        ) from error


def _close_quietly(file: BinaryIO) -> None:
    """Close a file that will be removed, even if its last bytes cannot be written."""
    with contextlib.suppress(OSError):
        file.close()


_PAUSES = (0, 0.02, 0.1, 0.4)
"""Seconds before each attempt to take a lock. Ours: a writer that begins at the same time may hold the lock for a
moment, to see whether a dead one has left it."""

_TEMPORARY = ".tmp-"
_OWNED = re.compile(r"(lock-|\.tmp-)(?P<part>\d+-of-\d+)(-.*)?")


class PartLock:
    """The right to write part `index` of `count` of the set in a folder.

    `name` is what errors call the set, if that is not the folder.

    Raises, on entering:
        DataError: a running process writes this part, or writes the set in another number of parts, or the file system
            has no locks.
    """

    def __init__(self, directory: Path, index: int = 0, count: int = 1, *, name: str | None = None) -> None:
        self.hidden = directory / HIDDEN
        self.name = name or str(directory)
        self.part = f"{index}-of-{count}"
        self.count = count
        self._descriptor: int | None = None

    def __enter__(self) -> PartLock:
        for pause in _PAUSES:
            time.sleep(pause)
            self._descriptor = _acquire(self._path(self.part))
            if self._descriptor is not None:
                break
        else:
            raise DataError(f"{self.name} is being written by another process (part {self.part}); wait for it to end")
        try:
            self.clean_up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._descriptor is not None:
            _release(self._path(self.part), self._descriptor)
            self._descriptor = None

    def temporary(self, name: str) -> Path:
        """The path under which this part may write a file that will be called `name`."""
        return self.hidden / f"{_TEMPORARY}{self.part}-{name}"

    def _path(self, part: str) -> Path:
        return self.hidden / f"lock-{part}"

    def clean_up(self) -> int:
        """Remove the files of dead writers. The names of their locks and temporary files tell their part.

        Returns:
            How many other parts have writers that live.

        Raises:
            DataError: one of them writes the set in another number of parts.
        """
        living = 0
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
                    f"{self.name} is being written by another process, which has part {part}; give all jobs the "
                    f"same --num-jobs, or wait for it to end"
                )
            else:
                living += 1
        return living

    def _remove_temporary(self, part: str) -> None:
        for entry in self.hidden.glob(f"{_TEMPORARY}{part}-*"):
            entry.unlink(missing_ok=True)


def remove_leftovers(directory: Path) -> None:
    """Remove the files of dead writers from a complete set. Files that cannot be removed do no harm."""
    if any(_OWNED.fullmatch(name) for name in os.listdir(directory / HIDDEN)):
        # A running writer removes its own files; the folder may be read-only.
        with contextlib.suppress(DataError, OSError), PartLock(directory):
            pass


def _acquire(path: Path) -> int | None:
    """Lock the file. None if a running process holds the lock.

    Raises:
        DataError: the file system has no locks, so that nothing would keep two writers apart.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise DataError(
                f"{path.parent} cannot be locked ({error.strerror}), and only locks keep two writers of a set apart: "
                f"write it on a file system that has them (a Lustre is mounted with flock), and copy it from there"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its holder removed the file after we opened it and before we locked it


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _release(path: Path, descriptor: int) -> None:
    """Remove the lock's file, then let go of the lock. In this order no two processes can hold it."""
    path.unlink(missing_ok=True)
    os.close(descriptor)
