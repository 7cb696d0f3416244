"""What keeps the processes of a run together: all find the same in its folder and would do the same, or all end."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

import torch.distributed as dist

from ..errors import DataError
from ..files import TEMPORARY
from ..runtime.distributed import is_distributed, loss_of_a_process

T = TypeVar("T")

SEEN_SECONDS = 10.0
"""How long the other processes look for what the main one has written. Ours: network file systems show a new name to
other machines within a few seconds, once the folder is listed anew."""


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


def check_same_run(about: Mapping[str, str]) -> None:
    """Whether all processes would do the same run; each asks, and all get the same answer.

    Args:
        about: what this process would do, such as `--data has`: `40 images`.

    Raises:
        DataError: another process would do something else than the main one.
    """
    answers = _gather(dict(about))
    lines = []
    for what in dict.fromkeys(name for answer in answers for name in answer):
        values = [answer.get(what, "none") for answer in answers]
        other = next((rank for rank, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            lines.append(f"{what} {values[0]} in process 0, and {values[other]} in process {other}")
    if lines:
        raise DataError(
            f"the processes would not do one run: {'; '.join(lines)}. Give all the same options and inputs, and a "
            "value for an option that came to another one in each"
        )


def made_by_main(make: Callable[[], T], *, main_process: bool) -> T:
    """What the main process makes, given to all processes of a run; each asks, and waits until it is made.

    Args:
        make: is called in the main process alone, such as to write files and read what it has logged.
        main_process: whether this is the main process.

    Raises:
        DataError: the main process could not make it; there, what `make` raises.
    """
    made: T | None = None
    problem: Exception | None = None
    if main_process:
        try:
            made = make()
        except Exception as error:
            problem = error
    share_problem(problem)
    return cast(T, _gather(made)[0])


def _gather(own: T) -> list[T]:
    """What each process gives, in the order of their ranks."""
    if not is_distributed():
        return [own]
    answers = [own] * dist.get_world_size()
    with loss_of_a_process():
        dist.all_gather_object(answers, own)
    return answers
