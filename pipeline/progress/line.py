"""Progress of a long command, on stderr: a live line in a terminal, a plain line now and then elsewhere.

A command of many parts has an `Overall` (overall.py), which watches the parts' own progress and shows both.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

PLAIN_SECONDS = 10.0
"""Between plain lines. Ours: a log of an hour stays under 400 lines."""
LIVE_SECONDS = 0.2
"""Between two looks of a live line. Ours."""


class Watcher(Protocol):
    """What is told of the progress of all that is done meanwhile, and shows it or not instead."""

    def begun(self, progress: Progress) -> None:
        """Something has begun to count."""

    def advanced(self, progress: Progress) -> None:
        """It has counted on."""

    def ended(self, progress: Progress) -> None:
        """It counts no more."""


_watcher: Watcher | None = None


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Meanwhile every `Progress` tells `watcher` and shows nothing itself."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


def current_watcher() -> Watcher | None:
    """Who watches now; None if nobody does."""
    return _watcher


def announce(text: str) -> None:
    """Say in a terminal what is going on before there is anything to count, which may take seconds. Elsewhere, and in
    all of several processes but the first, nothing is said."""
    if sys.stderr.isatty() and is_main_process():
        print(f"{text} ...", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """A line for people on stderr, in place of a live line of progress, of the first of several processes."""
    if is_main_process():
        print(("\r\033[2K" if sys.stderr.isatty() else "") + text, file=sys.stderr, flush=True)


def is_main_process() -> bool:
    """Whether this is the process that speaks, under a launcher that counts them in RANK, or alone."""
    return os.environ.get("RANK", "0") == "0"


class Progress:
    """Shows how far a command is, its rate and the time left.

    Args:
        label: what is going on.
        total: how many units there are.
        unit: what is counted, for the rate, such as `images`.
        done: units that an earlier run did; they do not count for the rate.
        enabled: false in all processes but the main one.
    """

    def __init__(self, label: str, total: int, unit: str, *, done: int = 0, enabled: bool = True) -> None:
        self.label, self.total, self.unit, self.enabled = label, total, unit, enabled
        self.start_done = self.done = done
        self.start = self.shown = time.monotonic()
        self.watcher = _watcher
        self.live = enabled and self.watcher is None and sys.stderr.isatty()
        self.numbers: dict[str, float] = {}

    def __enter__(self) -> Progress:
        if self.watcher is not None:
            self.watcher.begun(self)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.watcher is not None:
            self.watcher.ended(self)
        elif self.enabled and self.done > self.start_done:
            self._show()
            if self.live:
                sys.stderr.write("\n")
                sys.stderr.flush()

    def update(self, done: int, total: int | None = None, **numbers: float) -> None:
        """Say that `done` units are done, of a total that may become known late, with numbers to watch."""
        self.done = done
        self.total = self.total if total is None else total
        self.numbers.update(numbers)
        if self.watcher is not None:
            self.watcher.advanced(self)
        elif self.enabled and time.monotonic() - self.shown > (LIVE_SECONDS if self.live else PLAIN_SECONDS):
            self._show()

    @property
    def seconds(self) -> float:
        """Since this process began with it."""
        return time.monotonic() - self.start

    @property
    def rate(self) -> float:
        """Units a second since this process began."""
        return (self.done - self.start_done) / max(self.seconds, 1e-9)

    @property
    def part_done(self) -> float:
        """How much of the work is done, in [0, 1]."""
        return self.done / self.total if self.total else 0.0

    def counts(self) -> str:
        """How far it is, its rate and the time left, in words."""
        left = (self.total - self.done) / self.rate if self.rate > 0 else float("inf")
        return f"{self.done:,}/{self.total:,} {self.unit}  {self.rate:,.0f}/s  {duration(left)} left"

    def watched_numbers(self) -> str:
        """The numbers to watch, in words; empty without any."""
        return "".join(f"  {name} {value:.4g}" for name, value in self.numbers.items())

    def _show(self) -> None:
        self.shown = time.monotonic()
        text = f"{self.label}: {self.counts()}{self.watched_numbers()}"
        sys.stderr.write(f"\r\033[2K{text}" if self.live else text + "\n")
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """As a clock shows it, `1:30` or `2:02:05`; `?` for what is not known (infinity)."""
    if seconds == float("inf"):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
