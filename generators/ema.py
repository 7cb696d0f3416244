"""The exponential moving average of a network's weights: what pretraining saves, and the second generator of a pair.

The average is a generator like the other. torch's `swa_utils` does the averaging; its class `AveragedModel` would keep
a copy and a count of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_Module = TypeVar("_Module", bound=nn.Module)


def frozen_copy(model: _Module) -> _Module:
    """A copy in evaluation mode whose weights take no gradient."""
    return copy.deepcopy(model).requires_grad_(False).eval()


class MovingAverage:
    """average <- decay average + (1 - decay) parameters, one update a step, in place.

    With warm-up the decay of update number `step` (from 0) is min(decay, (2 + step) / (11 + step)), the ramp of
    TensorFlow's `ExponentialMovingAverage`: the average of a short run then is not dominated by the initial weights.
    It is a function of nothing but the step, so that a resumed run repeats it.

    Args:
        average: what is moved, of the same shapes as `parameters`.
        parameters: those of the network that learns.
        warmup: ramp the decay up. Without it the decay is the same from the first update on.
    """

    def __init__(self, average: Iterable[nn.Parameter], parameters: Iterable[nn.Parameter], *, warmup: bool = True):
        self.average, self.parameters, self.warmup = list(average), list(parameters), warmup

    def update(self, step: int, decay: float) -> None:
        """Update number `step`, from 0, with a decay that may be another each time."""
        if self.warmup:
            decay = min(decay, (2 + step) / (11 + step))
        get_ema_multi_avg_fn(decay)(self.average, self.parameters, step)
