"""Islands of full precision inside mixed-precision training: losses and statistics are computed in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def full_precision(tensor: Tensor) -> torch.autocast:
    """A context in which autocast leaves operations on tensors of this device alone."""
    return torch.autocast(tensor.device.type, enabled=False)


def at_least_float32(tensor: Tensor) -> Tensor:
    """float16 and bfloat16 as float32; float32 and float64 as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def unit_length(tensor: Tensor) -> Tensor:
    """Rows (N, D) scaled to length 1, in at least float32."""
    with full_precision(tensor):
        return F.normalize(at_least_float32(tensor), dim=1)
