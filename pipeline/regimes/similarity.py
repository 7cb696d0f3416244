"""A target for how similar the two images of a pair are, in the learner's feature space. An extension of ours.

In joint training G moves and G_ema lags behind, so that pairs drift apart by themselves. The target bounds how far:
when pairs are less similar than it says, G_ema follows faster, and the other way round.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ..runtime.distributed import average
from ..runtime.readback import Readback

GAIN = 0.5
"""Change of log(1 - decay) a step per unit of similarity off the target. Ours: a pair that is 0.1 off halves or
doubles the pace of G_ema within about 14 steps."""
PACE_RANGE = (1e-4, 0.5)
"""Bounds of the pace 1 - decay. Ours: from a memory of ten thousand steps to one of two."""


class SimilarityTarget:
    """An integral controller of the decay of G_ema.

    Args:
        start, end: cosine similarity wanted at the first and at the last step, linear in between.
        total_steps: how many steps there are.
        decay: the decay to start from.
    """

    def __init__(self, start: float, end: float, total_steps: int, decay: float) -> None:
        self.start, self.end, self.total_steps = start, end, total_steps
        self.log_pace = math.log(1 - decay)
        self.unanswered: tuple[int, Readback] | None = None

    def target(self, step: int) -> float:
        """The similarity wanted at a step."""
        return self.start + (self.end - self.start) * min(1.0, step / max(1, self.total_steps - 1))

    def decay(self, step: int, similarity: Tensor) -> float:
        """The decay to use at this step: it answers the similarity of the step before, which nobody waits for.

        Args:
            step: counted from 0.
            similarity: (), this process's mean similarity of pairs; it is averaged over all.
        """
        self._answer()
        self.unanswered = (step, Readback(average(similarity.reshape(1))))
        return 1 - math.exp(self.log_pace)

    def _answer(self) -> None:
        if self.unanswered is None:
            return
        step, similarity = self.unanswered
        self.unanswered = None
        error = self.target(step) - similarity.numbers()[0]
        low, high = (math.log(pace) for pace in PACE_RANGE)
        self.log_pace = min(high, max(low, self.log_pace + GAIN * error))

    def state_dict(self) -> dict[str, Any]:
        # The last similarity is answered before the next step in any case.
        self._answer()
        return {"log_pace": self.log_pace}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.log_pace, self.unanswered = state["log_pace"], None
