"""What keeps the processes of a run together, and those of other runs out of its folder."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from types import TracebackType

import torch.distributed as dist

from ..errors import DataError
from ..runtime.distributed import is_distributed

log = logging.getLogger(__name__)


class FolderLock:
    """Held on a run's folder while it trains: the folder itself is locked, so nothing is left behind.

    Args:
        folder: the run's.
        taken: whether this process takes it; the main one does.

    Attributes:
        problem: why it was not had, in a sentence: another training is in the folder. None otherwise. On a file system
            without locks that is logged and no problem.
    """

    def __init__(self, folder: Path, *, taken: bool = True) -> None:
        self.folder, self.taken = folder, taken
        self.problem: str | None = None
        self._descriptor: int | None = None

    def __enter__(self) -> FolderLock:
        if not self.taken:
            return self
        self._descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.problem = f"another process is training in {self.folder}; wait for it, or give another --out"
        except OSError as error:
            log.warning(
                "%s cannot be locked (%s): see to it that no other training is in it", self.folder, error.strerror
            )
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def check_agreement(found: str, problem: str | None, folder: Path) -> None:
    """Whether all processes of a run take up the same; each asks, and all get the same answer.

    Args:
        found: the checkpoint that this process has found, in words.
        problem: why it cannot begin, or None.
        folder: of the checkpoints.

    Raises:
        DataError: a process cannot begin, or has found another checkpoint than most.
    """
    answers: list[tuple[str, str | None]] = [(found, problem)]
    if is_distributed():
        answers = [("", None)] * dist.get_world_size()
        dist.all_gather_object(answers, (found, problem))
    problems = [text for _, text in answers if text is not None]
    if problems:
        raise DataError(problems[0])
    expected = answers[0][0]
    others = [f"process {rank} {seen}" for rank, (seen, _) in enumerate(answers) if seen != expected]
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        raise DataError(
            f"the processes see different checkpoints in {folder}: process 0 {expected}, {shown}; give --out a folder "
            "on a disk that all machines share"
        )
