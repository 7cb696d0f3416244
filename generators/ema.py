"""The exponential moving average of a network's weights: what pretraining saves, and the second generator of a pair."""

from __future__ import annotations

import copy

import torch
from torch import nn


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose weights take no gradient."""
    return copy.deepcopy(model).requires_grad_(False).eval()


def decay_at(step: int, decay: float, *, warmup: bool = True) -> float:
    """The decay of update number `step` (from 0), a function of nothing else, so that a resumed run repeats it.

    With warm-up it is min(decay, (1 + step) / (10 + step)), the ramp of TensorFlow's `ExponentialMovingAverage`: the
    average of a short run then is not dominated by the initial weights.
    """
    return min(decay, (1 + step) / (10 + step)) if warmup else decay


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """average <- decay average + (1 - decay) model, for parameters; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
    for target, source in zip(average.buffers(), model.buffers(), strict=True):
        target.copy_(source)
