"""What computations are exact to: the precision of generators, and that of float32 on a GPU.

All of torch's settings of this kind are made here.
"""

from __future__ import annotations

import os

import torch

from ..errors import UsageError

EXACT = "SYNTHCL_EXACT"
"""The variable that asks for exact float32 on a GPU."""


def generator_precision(asked: str, device: torch.device | str, *, trained: bool = False) -> str:
    """What --generator-precision comes to on a device: `fp32`, `bf16` or `fp16`.

    Args:
        asked: one of these, or `auto`: bf16 on a GPU that computes in it, else fp32. On a CPU that is fp32, in which a
            sample has the same pixels on any.
        device: where the generator is.
        trained: whether it is trained there.

    Raises:
        UsageError: the device lacks the precision, or a generator cannot be trained in it.
    """
    cuda = torch.device(device).type == "cuda"
    if asked == "auto":
        return "bf16" if cuda and cuda_has_bf16() else "fp32"
    if asked == "fp16" and trained:
        raise UsageError(
            "--generator-precision fp16 is for drawing from a generator that stays as it is: in training its gradients "
            "are below the range of fp16; use bf16 or fp32"
        )
    if asked == "fp16" and not cuda:
        raise UsageError("--generator-precision fp16 needs a GPU; use bf16 or fp32 here")
    if asked == "bf16" and cuda and not cuda_has_bf16():
        raise UsageError(
            f"--generator-precision bf16: {torch.cuda.get_device_name(device)} does not compute in bf16; use fp32"
        )
    return asked


def cuda_has_bf16() -> bool:
    """Whether this GPU computes in bf16, rather than by way of float32."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def is_exact() -> bool:
    """Whether a GPU is to compute float32 as float32, by algorithms that do not change: SYNTHCL_EXACT is 1.

    Raises:
        UsageError: it is neither 0 nor 1.
    """
    value = os.environ.get(EXACT, "0")
    if value not in ("0", "1"):
        raise UsageError(f"the variable {EXACT} is {value!r}: set it to 1 for exact float32 on a GPU, or to 0")
    return value == "1"


def set_backends() -> None:
    """Have a GPU compute convolutions of float32 in TF32, products of matrices in float32, and choose its algorithms by
    trying them; or, where `is_exact`, all in float32, by algorithms of its choice that give the same each time.

    Convolutions are what a network's time goes to; TF32 keeps float32's range and 10 bits of its mantissa, more than
    the 7 of bf16. Products are in losses and distances, where differences of large numbers count, and cost little; in
    networks they are in the precision that was asked for. Algorithms that are tried out may differ in last bits from
    one process to the next on a GPU; nothing changes on a CPU, where runs are exact.

    Raises:
        UsageError: as `is_exact`.
    """
    exact = is_exact()
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = not exact
    torch.backends.cudnn.deterministic = exact
    torch.backends.cuda.matmul.allow_tf32 = False
