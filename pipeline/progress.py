"""Progress of a long command, on stderr: a live line in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

PLAIN_SECONDS = 10.0
"""Between plain lines. Ours: a log of an hour stays under 400 lines."""


def announce(text: str) -> None:
    """Say in a terminal what is going on before there is anything to count, which may take seconds. Elsewhere, and in
    all of several processes but the first, nothing is said."""
    if sys.stderr.isatty() and os.environ.get("RANK", "0") == "0":
        print(f"{text} ...", file=sys.stderr, flush=True)


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
        self.live = enabled and sys.stderr.isatty()
        self.numbers: dict[str, float] = {}

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.enabled and self.done > self.start_done:
            self._show()
            if self.live:
                sys.stderr.write("\n")
                sys.stderr.flush()

    def update(self, done: int, total: int | None = None, **numbers: float) -> None:
        """Say that `done` units are done, of a total that may become known late, with numbers to watch."""
        self.done = done
        self.total = self.total if total is None else total
        self.numbers.update(numbers)
        if self.enabled and time.monotonic() - self.shown > (0.2 if self.live else PLAIN_SECONDS):
            self._show()

    @property
    def rate(self) -> float:
        """Units a second since this process began."""
        return (self.done - self.start_done) / max(time.monotonic() - self.start, 1e-9)

    def _show(self) -> None:
        self.shown = time.monotonic()
        left = (self.total - self.done) / self.rate if self.rate > 0 else float("inf")
        numbers = "".join(f"  {name} {value:.4g}" for name, value in self.numbers.items())
        text = (
            f"{self.label}: {self.done:,}/{self.total:,} {self.unit}  {self.rate:,.0f}/s  "
            f"{_duration(left)} left{numbers}"
        )
        sys.stderr.write(f"\r\033[2K{text}" if self.live else text + "\n")
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
