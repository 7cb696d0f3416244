"""Batch normalisation over the views of all processes.

torch's own `SyncBatchNorm` serves on CUDA but refuses CPU tensors; the one here has the same parameters and buffers and
runs anywhere, so that several processes on CPUs train as one process does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .collectives import gather_with_gradient, world_size
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
            mean, variance, count = _global_statistics(x)
            self._update_running_statistics(mean.detach(), variance.detach() * count / (count - 1))
            scale = torch.rsqrt(variance + self.eps)
            offset = -mean * scale
            if self.affine:
                scale, offset = scale * self.weight, offset * self.weight + self.bias
            shape = (1, -1) + (1,) * (x.dim() - 2)
            return (x * scale.view(shape) + offset.view(shape)).to(input.dtype)

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
    """Mean (C,), biased variance (C,) and count () of x (N, C, ...) over all processes, with gradient.

    Each process's own mean and variance are combined, which stays accurate where sums of squares would cancel.
    """
    dims = [d for d in range(x.dim()) if d != 1]
    variance, mean = torch.var_mean(x, dim=dims, correction=0)
    count = torch.full_like(mean, x.numel() / x.shape[1])
    means, variances, counts = gather_with_gradient(torch.stack((mean, variance, count))[None]).unbind(1)  # (W, C) each
    weights = counts / counts.sum(dim=0)
    mean = (weights * means).sum(dim=0)
    variance = (weights * (variances + (means - mean).square())).sum(dim=0)
    return mean, variance, counts[:, 0].sum().detach()


def convert_sync_batchnorm(module: nn.Module, device: torch.device | str | None = None) -> nn.Module:
    """Replace batch normalisation in `module`, by torch's SyncBatchNorm on CUDA and by the one here elsewhere.

    Parameters and buffers are taken over, not copied, and keep their names in the state dict. In one process the module
    comes back as it is.

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
    if torch.device(device).type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    return _convert(module)


def _convert(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _convert(child))
    if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return module
    synced = SyncBatchNorm(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats, device="meta"
    )
    synced.training = module.training
    for name, parameter in module.named_parameters(recurse=False):
        setattr(synced, name, parameter)
    for name, buffer in module.named_buffers(recurse=False):
        setattr(synced, name, buffer)
    return synced
