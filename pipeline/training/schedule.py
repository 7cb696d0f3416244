"""The learning rate of a training, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Schedule:
    """Learning rate by step: linear warm-up, then a half cosine to zero (Loshchilov & Hutter 2017, 1608.03983, eq. 5).

    Attributes:
        peak: the learning rate after warm-up.
        warmup_steps, total_steps: lengths.
    """

    peak: float
    warmup_steps: int
    total_steps: int

    def at(self, step: int) -> float:
        """The learning rate of step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        over = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return self.peak * 0.5 * (1 + math.cos(math.pi * over))
