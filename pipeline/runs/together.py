"""What keeps the processes of a run together, and those of other runs out of its folder."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch.distributed as dist

from ..errors import DataError, UsageError
from ..files import TEMPORARY
from ..options.config import Config
from ..runtime.distributed import is_distributed, loss_of_a_process
from .folder import RunFolder, check_out, describe_run, finished_result, open_run, say_finished
from .length import Rate

log = logging.getLogger(__name__)
T = TypeVar("T")

SEEN_SECONDS = 10.0
"""How long the other processes look for what the main one has written. Ours: network file systems show a new name to
other machines within a few seconds, once the folder is listed anew."""


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


@contextlib.contextmanager
def hold_run(
    out: str | Path,
    command: str,
    config: Config,
    *,
    main_process: bool = True,
    steps: int | None = None,
    rate: Rate | None = None,
    came_to: Mapping[str, Any] | None = None,
) -> Iterator[RunFolder]:
    """`open_run` of a folder that is this run's alone, from before the first change in it until the context is left.

    Every process of a run enters, and all get a run or an error.

    Args:
        out, command, config, main_process, steps, rate, came_to: as `open_run` takes them.

    Raises:
        UsageError, DataError: what `open_run` raises.
        DataError: another process is training in the folder, or the processes do not see the same in it.
    """
    path = Path(out)
    problem: Exception | None = None
    with contextlib.ExitStack() as stack:
        try:
            check_out(out, command, config, came_to or {})  # no folder is made where there can be no run
            if main_process:
                path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FolderLock(path, taken=main_process))
        except (UsageError, DataError) as error:
            problem = error
        except OSError as error:
            problem = DataError(f"cannot write to --out {path}: {error.strerror}")
        share_problem(problem)
        yield open_run(out, command, config, main_process=main_process, steps=steps, rate=rate, came_to=came_to)


def finished_together(out: str | Path, command: str, config: Config) -> dict[str, Any] | None:
    """`finished_result`, agreed upon by all processes of a run; each asks, before anything is prepared.

    Raises:
        UsageError, DataError: what `finished_result` raises here.
        DataError: it raises something in another process, or the processes see different runs in the folder.
    """
    path, result, found = Path(out), None, ""
    problem: Exception | None = None
    try:
        result, found = finished_result(out, command, config, tell=False), describe_run(path)
    except (UsageError, DataError) as error:
        problem = error
    check_agreement(found, problem, path)
    if result is not None:
        say_finished(path)
    return result


def check_seen(folder: Path, main_process: bool) -> None:
    """Whether all processes of a run see what the main one writes in its folder; each asks.

    Raises:
        DataError: one does not, or it cannot be written.
    """
    if not is_distributed():
        return
    problem: DataError | None = None
    token = folder / f"{TEMPORARY}seen-{uuid.uuid4().hex[:8]}"
    if main_process:
        try:
            token.touch()
        except OSError as error:
            problem = DataError(f"cannot write to --out {folder}: {error.strerror}")
    share_problem(problem)
    name = _gather(token.name)[0]
    deadline = time.monotonic() + SEEN_SECONDS
    while not (seen := _is_listed(folder, name)) and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        check_agreement("the files that it writes" if seen else "none of them", None, folder)
    finally:
        if main_process:
            token.unlink(missing_ok=True)


def _is_listed(folder: Path, name: str) -> bool:
    """Whether a folder has a file. It is listed, since a network file system may remember that there was none."""
    try:
        return name in os.listdir(folder)
    except OSError:
        return False


def share_problem(problem: Exception | None) -> None:
    """End in every process where one cannot go on; each asks.

    Args:
        problem: why this process cannot, or None.

    Raises:
        DataError: another process cannot; `problem` itself where this one cannot.
    """
    problems = [text for text in _gather(None if problem is None else str(problem)) if text is not None]
    if problem is not None:
        raise problem
    if problems:
        raise DataError(problems[0])


def check_agreement(found: str, problem: Exception | None, folder: Path) -> None:
    """Whether all processes of a run find the same; each asks, and all get the same answer.

    Args:
        found: what this process has found, in words.
        problem: why it cannot begin, or None.
        folder: where it has looked.

    Raises:
        DataError: a process cannot begin, or has found something else than the main one.
    """
    share_problem(problem)
    answers = _gather(found)
    others = [f"process {rank} {seen}" for rank, seen in enumerate(answers) if seen != answers[0]]
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        raise DataError(
            f"the processes do not see the same in {folder}: process 0 {answers[0]}, {shown}; give --out a folder "
            "on a disk that all machines share"
        )


def _gather(own: T) -> list[T]:
    """What each process gives, in the order of their ranks."""
    if not is_distributed():
        return [own]
    answers = [own] * dist.get_world_size()
    with loss_of_a_process():
        dist.all_gather_object(answers, own)
    return answers
