"""How far a command of many parts is, as a whole: which part it is at, and when all of them will be done.

    with overall_progress() as overall:
        overall.plan([Part("a", "run 1 of 2", kind="train", units=100, cost=64, label="train real"), ...])
        with overall.part("a"):
            train(...)      # its `Progress` called `train real` counts the units of the part

The time left is what the parts of a kind took, in this process or in what is on record of earlier ones, for each unit
that is left. Kinds of which nothing is known yet are put in proportion by their expected cost.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from .line import LIVE_SECONDS, PLAIN_SECONDS, Progress, current_watcher, duration, watched_by

BAR_WIDTH = 20
"""Characters. Ours."""


@dataclass(frozen=True)
class Part:
    """One part of a long command.

    Attributes:
        key: what it is called in the code.
        title: what people read, such as `run 3 of 9: online, seed 0`.
        kind: parts of a kind take as long for a unit.
        units: how many there are to do, such as steps.
        cost: of a unit, in proportion to those of other kinds, as far as it can be told before one is measured.
        done: units that are done already.
        label: of the `Progress` that counts the units; None where they are done all at once.
    """

    key: Hashable
    title: str
    kind: Hashable
    units: float
    cost: float
    done: float = 0.0
    label: str | None = None


class Measured(NamedTuple):
    """What parts of a kind took: for so many units all their seconds, and those of the counting alone, which leave out
    what it takes to begin and to save."""

    units: float = 0.0
    seconds: float = 0.0
    counting: float = 0.0

    def plus(self, units: float, seconds: float, counting: float) -> Measured:
        """This measurement and that of another part, together."""
        return Measured(self.units + units, self.seconds + seconds, self.counting + counting)


class Overall:
    """Sees all parts of a command, in their order, and shows how far they are.

    In a terminal two lines stay at the bottom: the part and what it counts, and all parts. Elsewhere a line now and
    then has both. See `overall_progress`, which makes one.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self.parts: dict[Hashable, Part] = {}
        self.done: dict[Hashable, float] = {}
        self.measured: dict[Hashable, Measured] = {}
        self.at: Part | None = None
        self.counting: Progress | None = None
        self.shown = self.since = time.monotonic()
        self.under_way: list[Progress] = []
        self.screen = _Screen() if enabled and sys.stderr.isatty() else None

    def plan(self, parts: Iterable[Part]) -> None:
        """Say which parts there are, besides those that are planned already; one of the same key is planned anew."""
        for part in parts:
            self.parts[part.key] = part
            self.done[part.key] = max(part.done, self.done.get(part.key, 0.0))

    def learn(self, kind: Hashable, units: float, seconds: float, counting: float | None = None) -> None:
        """Take into account that so many units of a kind took so long; see `Measured`."""
        before = self.measured.get(kind, Measured())
        self.measured[kind] = before.plus(units, seconds, seconds if counting is None else counting)

    def skip(self, key: Hashable) -> None:
        """A part is found done, which took nothing."""
        self.done[key] = self.parts[key].units

    @contextmanager
    def part(self, key: Hashable) -> Iterator[None]:
        """Meanwhile the part is done. What it took counts for others of its kind, unless it fails."""
        part = self.parts[key]
        self.at, self.counting, self.since = part, None, time.monotonic()
        before = self.done[key]
        self._announce()
        try:
            yield
            if part.units > before:
                counting = self.counting.seconds if self.counting is not None else None
                self.learn(part.kind, part.units - before, time.monotonic() - self.since, counting)
            self.done[key] = part.units
        finally:
            self.at = self.counting = None

    def seconds_left(self) -> float:
        """Until all parts are done; infinite while nothing is measured."""
        return sum(self._left(part) for part in self.parts.values())

    def part_done(self) -> float:
        """How much of the whole is done, in [0, 1]: by time, or by the expected cost while no time is measured."""
        known = self.seconds_left() < float("inf")
        weights = {part.key: self._rate(part) if known else part.cost for part in self.parts.values()}
        whole = sum(part.units * weights[part.key] for part in self.parts.values())
        done = sum(self._done(part) * weights[part.key] for part in self.parts.values())
        return done / whole if whole else 1.0

    def begun(self, progress: Progress) -> None:
        self.under_way.append(progress)
        if self.at is not None and progress.label == self.at.label:
            self.counting = progress

    def advanced(self, progress: Progress) -> None:
        waited = time.monotonic() - self.shown
        if waited > (LIVE_SECONDS if self.screen is not None else PLAIN_SECONDS):
            self._show(progress)

    def ended(self, progress: Progress) -> None:
        self.under_way.remove(progress)
        if progress is self.counting and progress.done > progress.start_done:
            self._show(progress)

    def close(self) -> None:
        """Leave the last look on the screen."""
        if self.screen is not None:
            self.screen.show(["", self._whole_with_bar()])
            self.screen.close()

    def in_words(self) -> str:
        """How far all parts are: `all 21%, 12:30 left`."""
        left = self.seconds_left()
        return f"all {self.part_done():.0%}" + (f", {duration(left)} left" if left < float("inf") else "")

    def _done(self, part: Part) -> float:
        counted = self._counted() if part is self.at else 0.0
        return min(part.units, self.done[part.key] + counted)

    def _counted(self) -> float:
        """Units of the present part that were done in this process."""
        if self.counting is None or self.at is None or not self.counting.total:
            return 0.0
        return (self.counting.done - self.counting.start_done) / self.counting.total * self.at.units

    def _left(self, part: Part) -> float:
        left = (part.units - self._done(part)) * self._rate(part) if part.units > self._done(part) else 0.0
        if part is self.at and self.counting is None:
            left = max(0.0, left - (time.monotonic() - self.since))
        return left

    def _rates(self) -> dict[Hashable, Measured]:
        """What is measured of each kind, of what is going on as well."""
        found = dict(self.measured)
        counted = self._counted()
        if counted and self.at is not None and self.counting is not None:
            seconds = self.counting.seconds
            found[self.at.kind] = found.get(self.at.kind, Measured()).plus(counted, seconds, seconds)
        return found

    def _rate(self, part: Part) -> float:
        """Seconds for a unit of a part."""
        rates = self._rates()
        if part.kind in rates:
            return rates[part.kind].seconds / rates[part.kind].units
        costs = {one.kind: one.cost for one in self.parts.values()}
        known = [kind for kind in rates if kind in costs]
        cost = sum(rates[kind].units * costs[kind] for kind in known)
        return part.cost * sum(rates[kind].counting for kind in known) / cost if cost else float("inf")

    def _announce(self) -> None:
        if not self.enabled or self.at is None:
            return
        if self.screen is not None:
            self._show(None)
            return
        self.shown = time.monotonic()
        print(f"{self.at.title}; {self.in_words()}", file=sys.stderr, flush=True)

    def _show(self, progress: Progress | None) -> None:
        if not self.enabled:
            return
        self.shown = time.monotonic()
        title = self.at.title if self.at is not None else ""
        if progress is not None and (progress is not self.counting or not title):
            title = f"{title}: {progress.label}" if title else progress.label
        counts = f": {progress.counts()}" if progress is not None else ""
        numbers = progress.watched_numbers() if progress is not None else ""
        if self.screen is not None:
            self.screen.show([f"{title}{counts}{numbers}", self._whole_with_bar()])
        else:
            print(f"{title}{counts}; {self.in_words()}{numbers}", file=sys.stderr, flush=True)

    def _whole_with_bar(self) -> str:
        filled = int(BAR_WIDTH * self.part_done())
        return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {self.in_words()}"


class _Screen:
    """A few lines at the bottom of a terminal, which stay there while other lines pass above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False)
        self.live = Live(console=console, auto_refresh=False, redirect_stdout=False)
        self.live.start()
        # A process that a second Ctrl-C ends has no time to show it again.
        console.show_cursor(True)

    def show(self, lines: list[str]) -> None:
        from rich.text import Text

        text = Text("\n".join(line for line in lines if line), no_wrap=True, overflow="ellipsis")
        self.live.update(text, refresh=True)

    def close(self) -> None:
        self.live.stop()


@contextmanager
def overall_progress(*, enabled: bool = True) -> Iterator[Overall]:
    """Meanwhile an `Overall` sees what is done: the one that is there, or a new one.

    Args:
        enabled: false in all processes but the main one.
    """
    there = current_watcher()
    if isinstance(there, Overall):
        yield there
        return
    overall = Overall(enabled)
    try:
        with watched_by(overall):
            yield overall
    finally:
        overall.close()
