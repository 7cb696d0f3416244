"""Real images alone."""

from __future__ import annotations

from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Regime, Share


class RealRegime(Regime):
    """Two views of each real image."""

    def __init__(self, real: RealImages, views: ViewMaker) -> None:
        self.real, self.views = real, views

    def batch(self, step: int) -> MultiViewedBatch:
        return assemble(self.real, self.views, Share(0), step, self.real.images(step), [])
