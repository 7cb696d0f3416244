"""What processes tell each other. In one process everything here is the identity.

Every process must pass tensors of the same shape. Gradients: each process computes a loss whose mean over processes is
the loss of the whole batch, and gradients are averaged over processes afterwards, as DistributedDataParallel does. So
the backward passes here *sum* over processes: what a process receives is then `world_size` times its part of the
gradient of the mean, and the average takes the factor away again.

Shapes: W processes, N rows in each.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@torch.no_grad()
def gather(tensor: Tensor) -> Tensor:
    """(N, ...) of each process, one below the other in order of rank: (W * N, ...), without gradient."""
    return _all_gather(tensor.detach()) if world_size() > 1 else tensor.detach()


def gather_with_gradient(tensor: Tensor) -> Tensor:
    """`gather` through which gradients flow back to the process that each row came from."""
    return _GatherWithGradient.apply(tensor) if world_size() > 1 else tensor


def sum_with_gradient(tensor: Tensor) -> Tensor:
    """The sum over processes, the same in each, through which gradients flow back to all of them."""
    return _SumWithGradient.apply(tensor) if world_size() > 1 else tensor


@torch.no_grad()
def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum over processes, the same in each, without gradient."""
    return _all_sum(tensor.detach()) if world_size() > 1 else tensor.detach()


def _all_gather(tensor: Tensor) -> Tensor:
    gathered = tensor.new_empty((world_size() * tensor.shape[0], *tensor.shape[1:]))
    dist.all_gather_into_tensor(gathered, tensor.contiguous())
    return gathered


def _all_sum(tensor: Tensor) -> Tensor:
    total = tensor.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class _GatherWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.num_rows = tensor.shape[0]
        return _all_gather(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # A sum and a slice rather than a reduce-scatter, which not every backend has: the tensors are small.
        return _all_sum(gradient)[rank() * ctx.num_rows :][: ctx.num_rows]


class _SumWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _all_sum(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _all_sum(gradient)
