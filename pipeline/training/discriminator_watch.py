"""A word when a GAN's discriminator has been at chance for long: from then on its generator learns little.

Such a discriminator gives real and generated images the same score. Its margin, the mean of D(x) - D(G(z)), stays near
0, and so does the gradient that it gives the generator; the losses stay at log 2 and look calm.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from ..runs.metrics import MetricsLog

log = logging.getLogger(__name__)

STRETCH, FEWEST_ROWS = 1000, 20
"""How many steps are looked at, and how many of their logged rows at least. Ours."""
MARGIN, GRADIENT = 0.02, 0.1
"""Below both of them a discriminator counts as being at chance. Ours, by measurement: with GANs of preset `tiny` on
CIFAR-10 at 16 pixels, means over 500 steps were .0136 and .06 where samples stopped getting better, and .045 and .19 or
more where they went on. One row differs from the next by .03 in its margin, so that the mean of 20 is good to .01."""


class Row(NamedTuple):
    """What is looked at of a logged row: a step, its margin, and the mean norm of its realism gradient."""

    step: int
    margin: float
    gradient: float


def is_at_chance(rows: Sequence[Row]) -> bool:
    """Whether the rows of a whole stretch say that the discriminator is at chance."""
    if len(rows) < FEWEST_ROWS or rows[-1].step - rows[0].step < STRETCH:
        return False
    margin, gradient = (sum(values) / len(rows) for values in list(zip(*rows, strict=True))[1:])
    return abs(margin) < MARGIN and gradient < GRADIENT


class DiscriminatorWatch:
    """Looks at the rows that a run logs, and says once if the discriminator has been at chance for a whole stretch.

    It is a `RowLog` of the loop that writes no file. All that it knows follows from the run's metrics, so that a
    resumed run says no more than the uninterrupted one.

    Args:
        metrics: of the run.
        advice: what to try, a sentence.
    """

    def __init__(self, metrics: MetricsLog, advice: str) -> None:
        self.metrics, self.advice = metrics, advice
        self.rows: deque[Row] = deque()
        self.found = False

    def rewind(self, steps: int) -> None:
        """Know what the rows of the first `steps` steps say."""
        self.rows.clear()
        self.found = False
        for row in self.metrics.read():
            if row["step"] <= steps:
                self._see(row)

    def append(self, row: dict[str, float]) -> None:
        """See a row, and speak if it is the first that ends a stretch at chance."""
        if self._see(row):
            first, last = self.rows[0], self.rows[-1]
            margin = sum(row.margin for row in self.rows) / len(self.rows)
            log.warning(
                "from step %d to %d the discriminator could not tell samples from real images (mean margin %.4f): the "
                "generator learns little from it. %s",
                first.step, last.step, margin, self.advice,
            )  # fmt: skip

    def commit(self, steps: int) -> None:
        """There is nothing to write."""

    def _see(self, row: dict[str, float]) -> bool:
        """Take a row in; whether it is the first that ends a stretch at chance."""
        if self.found or "margin" not in row:
            return False
        self.rows.append(Row(int(row["step"]), row["margin"], row["gradient_realism"]))
        while len(self.rows) > FEWEST_ROWS and self.rows[-1].step - self.rows[1].step >= STRETCH:
            self.rows.popleft()
        self.found = is_at_chance(self.rows)
        return self.found
