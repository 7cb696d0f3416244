"""Momentum encoders: copies of a network that follow it as an exponential moving average."""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def momentum_copy(module: Network) -> Network:
    """A copy whose parameters take no gradient. Its batch normalisation keeps running statistics of its own."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(copied: nn.Module, module: nn.Module, momentum: float) -> None:
    """Move the parameters of `copied`: `copied <- m copied + (1 - m) module` (arXiv 1911.05722, eq. 2)."""
    torch._foreach_lerp_(list(copied.parameters()), list(module.parameters()), 1 - momentum)


def cosine_momentum(start: float, final: float, progress: float) -> float:
    """From `start` at progress 0 to `final` at 1, along a cosine (BYOL, arXiv 2006.07733, section 3.2)."""
    return final - (final - start) * (math.cos(math.pi * progress) + 1) / 2
