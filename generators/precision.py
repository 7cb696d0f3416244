"""The precision that a generator computes in. Weights, latents, losses and images stay in float32."""

from __future__ import annotations

import torch

from .errors import OptionError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def compute_in(precision: str, device_type: str) -> torch.autocast:
    """A context in which convolutions and matrix products are in a precision of `PRECISIONS`.

    It is the generator's own: in fp32 an autocast of the caller's does not reach it. Casts of weights are not kept, as
    autocast would keep those from before an update, and those made without a gradient for a pass that needs one.
    """
    enabled = precision != "fp32"
    dtype = PRECISIONS[precision] if enabled else None
    return torch.autocast(device_type, dtype, enabled=enabled, cache_enabled=False)


def check_trained_precision(precision: str) -> str:
    """The precision, if a generator can be trained in it.

    Raises:
        OptionError: fp16, or none of `PRECISIONS`.
    """
    if precision == "fp16":
        raise OptionError(
            "precision fp16 is for drawing alone: the gradients of a generator's training are below its range, and "
            "their loss is not scaled here; train in bf16 or fp32"
        )
    if precision not in PRECISIONS:
        raise OptionError(f"unknown precision {precision!r}: choose from {', '.join(PRECISIONS)}")
    return precision
