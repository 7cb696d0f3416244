"""Signals of a scheduler, for commands whose finished parts stay. A training saves first; see `runs.loop`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import RunStopped


class Stopped(RunStopped):
    """A signal of a scheduler came. What was finished stays, and the same command continues."""

    exit_code = os.EX_TEMPFAIL


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within it, SIGTERM and SIGUSR1 raise `Stopped`, so that what is half done is removed and a sentence says
    what to do. In other threads than the main one signals stay as they are."""
    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(number: int, frame: Any) -> None:
    raise Stopped(f"{signal.Signals(number).name} came; what was published is safe, and the same command continues")
