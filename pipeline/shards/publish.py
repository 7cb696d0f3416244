"""Files that appear whole or not at all, and never in the place of another.

A file is written under a temporary name inside the hidden folder, flushed to disk, read back and compared, and only
then linked to its name: `link` fails where the name is taken, as `rename` does not. Then the folder is flushed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError
from ..files import sync_folder

_BLOCK = 1 << 20


class TemporaryFile:
    """A file in the making. Leaving the context without `publish` removes it.

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
        """Append."""
        assert self._file is not None, "the file is open between __enter__ and finish"
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._digest.hexdigest()

    def finish(self) -> None:
        """Flush to disk, close, and read back what is there.

        Raises:
            OSError: the disk is full or fails.
            DataError: the disk holds something else than was written.
        """
        file, self._file = self._file, None
        assert file is not None, "finish is called once"
        with file:
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):  # have the check read the disk rather than the cache
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if file_sha256(self.path) != self.sha256:
            raise DataError(f"{self.path} does not hold what was written to it: the disk may be failing")

    def publish(self, target: Path, *, replace: bool = False) -> None:
        """Give the finished file its name.

        Args:
            target: the name, in the same file system.
            replace: whether another file may be there already, which is then replaced.

        Raises:
            DataError: another file has that name.
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
            # Left by a writer that was killed before it could write the sidecar: the same bytes, or not ours.
            if target.is_symlink() or file_sha256(target) != self.sha256:
                raise DataError(
                    f"{target} is there already, without a sidecar, and is not what belongs there: move it away, "
                    f"then run the same command again"
                ) from None
        except OSError:
            # A file system without hard links. The lock on this part of the set keeps others away meanwhile.
            if target.exists():
                raise DataError(f"{target} is there already: move it away, then run the same command again") from None
            os.rename(self.path, target)


@contextlib.contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """What the disk refuses (it is full, or not ours to write), in a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to {directory}: {error.strerror or error}; what was published is safe, and the same command "
            f"continues"
        ) from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _close_quietly(file: BinaryIO) -> None:
    """Close a file that is to be removed; that its last bytes cannot be written is no matter then."""
    with contextlib.suppress(OSError):
        file.close()
