"""The lock of a run's folder, which keeps other runs out of it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from pathlib import Path
from types import TracebackType

from ..errors import DataError

log = logging.getLogger(__name__)


class FolderLock:
    """Held on a run's folder while it is worked in: the folder itself is locked, so nothing is left behind.

    On a file system without locks that is logged, and no error.

    Args:
        folder: the run's.
        taken: whether this process takes it; the main one does.

    Raises, on entering:
        DataError: another training is in the folder.
    """

    def __init__(self, folder: Path, *, taken: bool = True) -> None:
        self.folder, self.taken = folder, taken
        self._descriptor: int | None = None

    def __enter__(self) -> FolderLock:
        if not self.taken:
            return self
        self._descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise DataError(
                f"another process is training in {self.folder}; wait for it, or give another --out"
            ) from None
        except OSError as error:
            log.warning(
                "%s cannot be locked (%s): see to it that no other training is in it", self.folder, error.strerror
            )
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._descriptor is not None:
            # Closing alone would leave it to a process that was forked meanwhile and lives on.
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None
