"""Keeping pixels in [0, 1], with a gradient at 0 and at 1 too.

torch's own `clamp` gives none to a value that is exactly 0 or 1, since 2.14; before it did. Of a generator's samples
those are the black and the white pixels, which would be left as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor


class _Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        ctx.save_for_backward((values >= 0) & (values <= 1))
        return values.clamp(0, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (kept,) = ctx.saved_tensors
        return gradient * kept


class _Trimmed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return values.clamp(0, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


def cut(values: Tensor) -> Tensor:
    """Values cut to [0, 1]: those that are beyond take no gradient, all others theirs. In place where none is asked."""
    return _Cut.apply(values) if _differentiated(values) else values.clamp_(0, 1)


def trimmed(values: Tensor) -> Tensor:
    """Values of which only rounding can be beyond [0, 1], cut to it: all take their gradient. In place where none is
    asked."""
    return _Trimmed.apply(values) if _differentiated(values) else values.clamp_(0, 1)


def _differentiated(values: Tensor) -> bool:
    return values.requires_grad and torch.is_grad_enabled()
