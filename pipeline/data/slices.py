"""A part of a set, as a SPEC writes it in brackets: `[:10%]`, `[5000:]`, `[-1000:]`, `[:10%,balanced,seed=3]`.

The slice is that of Hugging Face `datasets`: START:STOP in images or in percent, each from the end where negative, and
percentages rounded to the nearest image. Unlike there, a slice that reaches outside of the set is an error, and so is
an empty one. The words after it are ours.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from ..errors import UsageError

SHUFFLED, BALANCED = "shuffled", "balanced"
ORDERS = (SHUFFLED, BALANCED)
"""What may stand after a slice: the order that it is taken of, instead of the file's."""
MAX_SEED = 2**63 - 1

_BOUND = re.compile(r"(?P<number>-?[0-9]+(_[0-9]+)*)(?P<percent>%)?")
_HOW = "write a slice such as [:10%], [5000:] or [10%:20%], with ',shuffled' or ',balanced' and ',seed=N' after it"


@dataclass(frozen=True)
class Bound:
    """One end of a slice.

    Attributes:
        number: images or percent; below 0 it counts from the end.
        percent: whether it is percent, within [-100, 100].
    """

    number: int
    percent: bool = False

    def __str__(self) -> str:
        return f"{self.number}{'%' if self.percent else ''}"

    def position(self, num_images: int) -> int:
        """Where it is in a set, which may be outside of [0, num_images]."""
        if not self.percent:
            return self.number + (num_images if self.number < 0 else 0)
        # As `datasets` rounds; Python's round takes halves to the even number.
        rounded = round(self.number * num_images / 100.0)
        # From the end even where it rounds to none: the last 1% of 10 images is no image, and not all of them.
        return rounded + (num_images if self.number < 0 else 0)


@dataclass(frozen=True)
class Slice:
    """A part of a set.

    Attributes:
        start, stop: its ends in the order; None is that of the set.
        order: `shuffled`, `balanced`, or None for the order of the file.
        seed: of the order.
    """

    start: Bound | None = None
    stop: Bound | None = None
    order: str | None = None
    seed: int = 0

    def __str__(self) -> str:
        """The slice as text in brackets, which `parse_slice` reads."""
        start = "" if self.start is None or self.start.number == 0 else self.start
        text = f"{start}:{'' if self.stop is None else self.stop}"
        if self.order is not None:
            text += f",{self.order}"
        return f"[{text},seed={self.seed}]" if self.seed else f"[{text}]"

    def bounds(self, num_images: int, name: str) -> tuple[int, int]:
        """The first position and the one after the last, 0 <= start < stop <= num_images.

        Args:
            num_images: of the set.
            name: of the set, for errors.

        Raises:
            UsageError: a slice that reaches outside of the set, or holds no image.
        """
        start = 0 if self.start is None else self.start.position(num_images)
        stop = num_images if self.stop is None else self.stop.position(num_images)
        for bound, position in ((self.start, start), (self.stop, stop)):
            if not 0 <= position <= num_images:
                raise UsageError(f"{name}{self}: {bound} is outside of {name}, which has {num_images:,} images")
        if start >= stop:
            raise UsageError(f"{name}{self} holds no image: {self._why_empty(num_images, start, stop)}")
        return start, stop

    def _why_empty(self, num_images: int, start: int, stop: int) -> str:
        percent = any(bound is not None and bound.percent for bound in (self.start, self.stop))
        if percent and start == stop:
            return f"its percentages come to {start:,} and {stop:,} of the {num_images:,} images; take a larger part"
        return f"it begins at image {start:,} and stops before image {stop:,} of {num_images:,}; {_HOW}"


def parse_slice(inside: str, spec: str) -> Slice:
    """What stands between the brackets of a SPEC.

    Args:
        inside: that text.
        spec: all of the SPEC, for errors.

    Raises:
        UsageError: a malformed slice, an unknown word, or words that cannot stand together.
    """
    slice_text, *words = (part.strip() for part in inside.split(","))
    first, colon, last = slice_text.partition(":")
    if not colon:
        meant = f" (the first {first} is [:{first}])" if _BOUND.fullmatch(first) else ""
        raise UsageError(f"the data SPEC {spec!r} has no slice START:STOP in its brackets{meant}: {_HOW}")
    start, stop = _parse_bound(first.strip(), spec), _parse_bound(last.strip(), spec)
    _check_units(start, stop, spec)
    order, seed = _parse_words(words, spec)
    return Slice(start, stop, order, seed)


def _parse_bound(text: str, spec: str) -> Bound | None:
    if not text:
        return None
    match = _BOUND.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} in the brackets of the data SPEC {spec!r} is no whole number or percentage: {_HOW}")
    bound = Bound(int(match["number"]), match["percent"] is not None)
    if bound.percent and abs(bound.number) > 100:
        raise UsageError(f"{bound} in the data SPEC {spec!r} is outside of -100% to 100%")
    return bound


def _check_units(start: Bound | None, stop: Bound | None, spec: str) -> None:
    """`datasets` takes 10:50% for 10%:50%, which few would expect; only a 0 is the same in both."""
    if start is None or stop is None or start.percent == stop.percent or 0 in (start.number, stop.number):
        return
    raise UsageError(f"the data SPEC {spec!r} mixes images and percent, {start}:{stop}: give both ends in one unit")


def _parse_words(words: list[str], spec: str) -> tuple[str | None, int]:
    """(order, seed) of what stands after the slice."""
    orders = [word for word in words if word in ORDERS]
    seeds = [word.partition("=")[2].strip() for word in words if word.partition("=")[0].strip() == "seed"]
    unknown = [word for word in words if word not in ORDERS and word.partition("=")[0].strip() != "seed"]
    if unknown:
        near = difflib.get_close_matches(unknown[0], [*ORDERS, "seed"], n=1)
        meant = f" (did you mean {near[0]}{'=N' if near[0] == 'seed' else ''}?)" if near else ""
        raise UsageError(f"{unknown[0]!r} in the brackets of the data SPEC {spec!r} is not known{meant}: {_HOW}")
    if len(orders) > 1 or len(seeds) > 1:
        what = "one of shuffled and balanced, which is shuffled too" if len(orders) > 1 else "one seed"
        raise UsageError(f"the data SPEC {spec!r} says too much in its brackets: give {what}")
    if not seeds:
        return next(iter(orders), None), 0
    if not orders:
        raise UsageError(f"the data SPEC {spec!r} has a seed, by which nothing is drawn: add 'shuffled' or 'balanced'")
    if re.fullmatch("[0-9]+", seeds[0]) is None or int(seeds[0]) > MAX_SEED:
        raise UsageError(f"seed={seeds[0]} in the data SPEC {spec!r} is no whole number from 0 to 2**63 - 1")
    return orders[0], int(seeds[0])
