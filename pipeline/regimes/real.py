"""Real images alone."""

from __future__ import annotations

from ...learners.base import Learner
from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Regime, Share
from .setup import RegimeSetup


class RealRegime(Regime):
    """The views of each real image."""

    def __init__(self, real: RealImages, views: ViewMaker) -> None:
        self.real, self.views = real, views

    def batch(self, step: int, learner: Learner) -> MultiViewedBatch:
        return assemble(self.real, self.views, Share(0), step, self.real.images(step), [])


def build(setup: RegimeSetup) -> RealRegime:
    """See `build_regime`."""
    return RealRegime(setup.real, setup.views)
