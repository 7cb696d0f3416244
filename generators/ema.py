"""The exponential moving average of a network's weights: what pretraining saves, and the second generator of a pair.

diffusers' `EMAModel` does the averaging. It keeps no copy here: its shadow parameters are those of a network,
so that the average is a generator like the other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

from diffusers.training_utils import EMAModel
from torch import nn

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
        parameters: those of the network that learns; those that take no gradient are copied.
        warmup: ramp the decay up. Without it the decay is the same from the first update on.
    """

    def __init__(self, average: Iterable[nn.Parameter], parameters: Iterable[nn.Parameter], *, warmup: bool = True):
        self.parameters, self.warmup = list(parameters), warmup
        # It would copy the weights of its first update; one update before the first, the ramp is under way.
        self.ema = EMAModel([], foreach=True, update_after_step=-1)
        self.ema.shadow_params = list(average)

    def update(self, step: int, decay: float) -> None:
        """Update number `step`, from 0, with a decay that may be another each time."""
        self.ema.decay, self.ema.min_decay = decay, 0.0 if self.warmup else decay
        self.ema.optimization_step = step
        self.ema.step(self.parameters)
