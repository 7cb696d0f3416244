"""Batch normalisation over the views of all processes.

torch's own `SyncBatchNorm` serves on CUDA but refuses CPU tensors; the one here has the same parameters and buffers and
runs anywhere, so that several processes on CPUs train as one process does.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .collectives import gather, sum_over_ranks, world_size
from .precision import at_least_float32, full_precision


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation (N, C, ...) whose training statistics are those of the batches of all processes together.

    In one process, and in eval mode, it is torch's. Statistics are in at least float32; the output has the input's
    type.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2 dimensions (N, C, ...), got {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        if world_size() == 1 or not (self.training or self.running_mean is None):
            return super().forward(input)
        self._check_input_dim(input)
        with full_precision(input):
            x = at_least_float32(input)
            mean, variance, count = _global_statistics(x.detach())
            self._update_running_statistics(mean, variance * count / (count - 1))
            normalised = _Normalise.apply(x, self.weight, self.bias, mean, variance, count, self.eps)
            return normalised.to(input.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        if not (self.training and self.track_running_stats):
            return
        assert self.num_batches_tracked is not None and self.running_mean is not None and self.running_var is not None
        self.num_batches_tracked.add_(1)
        # Without a momentum the statistics are the mean over all batches so far, as in torch.
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), weight)


def _global_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), biased variance (C,) and count () of x (N, C, ...) over all processes.

    Each process's own mean and variance are combined, which stays accurate where sums of squares would cancel.
    """
    # torch's own kernel of batch normalisation: on a CPU `var_mean` takes many times as long over (N, H, W).
    mean, variance = torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0)
    count = torch.full_like(mean, x.numel() / x.shape[1])
    means, variances, counts = gather(torch.stack((mean, variance, count))[None]).unbind(1)  # (W, C) each
    weights = counts / counts.sum(dim=0)
    mean = (weights * means).sum(dim=0)
    variance = (weights * (variances + (means - mean).square())).sum(dim=0)
    return mean, variance, counts[:, 0].sum()


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, whose statistics are those of x over all processes.

    The gradient goes through the statistics too, as in torch's SyncBatchNorm: the sums over a batch that it takes are
    exchanged, and the rest is torch's kernels of one process. As everywhere here it is of the sum of the processes'
    losses; weight and bias get this process's part.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        return torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, eps, False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        # With fixed statistics: the sums of gradient * normalised x, and of gradient.
        _, scaled, summed = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        at_x = None
        if ctx.needs_input_grad[0]:
            mean_scaled, mean_summed = sum_over_ranks(torch.stack((scaled, summed))) / count
            factor = torch.rsqrt(variance + ctx.eps) * (1 if weight is None else weight)
            # factor * (gradient - mean_summed - normalised x * mean_scaled)
            at_x = torch.batch_norm(
                x, -factor * mean_scaled, -factor * mean_summed, mean, variance, False, 0.0, ctx.eps, False
            )
            at_x.addcmul_(gradient, factor.view(1, -1, *(1,) * (x.dim() - 2)))
        at_weight, at_bias = (
            g if n else None for g, n in zip((scaled, summed), ctx.needs_input_grad[1:3], strict=True)
        )
        return at_x, at_weight, at_bias, None, None, None, None


def convert_sync_batchnorm(module: nn.Module, device: torch.device | str | None = None) -> nn.Module:
    """Replace batch normalisation in `module`, by torch's SyncBatchNorm on CUDA and by the one here elsewhere.

    Parameters and buffers are taken over, not copied, and keep their names in the state dict, and so are the dropout
    and the activation of timm's BatchNormAct2d. In one process the module comes back as it is.

    Args:
        module: converted in place, but for a `module` that is itself a batch normalisation.
        device: where it will run; where its first parameter lies if not given.

    Returns:
        The converted module.
    """
    if world_size() == 1:
        return module
    if device is None:
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
    on_cuda = torch.device(device).type == "cuda"
    return _convert(module, _KINDS_ON_CUDA if on_cuda else _KINDS)


@torch.no_grad()
def average_running_statistics(module: nn.Module) -> None:
    """Give running statistics that each process takes of its own views their mean over processes.

    What eval mode computes is then the same in every process, and what one of them saves is what all have. What
    `convert_sync_batchnorm` has replaced stays as it is: its statistics are of all processes. Nothing in one process.
    """
    if world_size() == 1:
        return
    kinds, synced = nn.modules.batchnorm._BatchNorm, (SyncBatchNorm, nn.SyncBatchNorm)
    layers = [m for m in module.modules() if isinstance(m, kinds) and not isinstance(m, synced)]
    own = [t for layer in layers for t in (layer.running_mean, layer.running_var) if t is not None]
    if own:
        means = sum_over_ranks(torch.cat(own)) / world_size()  # each is (C,)
        torch._foreach_copy_(own, list(means.split([len(t) for t in own])))


class _ThenActivation:
    """Mixed into a normalisation whose forward pass goes on, as that of timm's BatchNormAct2d does.

    It has the children `drop` and `act` of the layer that it stands for.
    """

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))  # type: ignore[misc]


class _SyncBatchNormAct(_ThenActivation, SyncBatchNorm):
    pass


class _TorchSyncBatchNormAct(_ThenActivation, nn.SyncBatchNorm):
    pass


_KINDS: tuple[Any, Any] = (SyncBatchNorm, _SyncBatchNormAct)
_KINDS_ON_CUDA: tuple[Any, Any] = (nn.SyncBatchNorm, _TorchSyncBatchNormAct)
"""What batch normalisation becomes, and what one becomes that has an activation."""


def _convert(module: nn.Module, kinds: tuple[Any, Any]) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _convert(child, kinds))
    if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return module
    children = dict(module.named_children())
    # By its children, and not by its type: timm need not be there.
    kind = kinds[{"drop", "act"} <= children.keys()]
    synced = kind(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats, device="meta"
    )
    synced.training = module.training
    kept = (children.items(), module.named_parameters(recurse=False), module.named_buffers(recurse=False))
    for name, value in itertools.chain(*kept):
        setattr(synced, name, value)
    return synced
