"""Joining the learner's gradient on the images to the discriminator's, within a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 1e6
"""The largest ratio that is told of a sample. Ours. A saturated discriminator gives a gradient of exactly 0, and that
is no reason for a run to stop, as it does at a number that is not finite."""


@dataclass(frozen=True)
class HardGradient:
    """What G is to descend besides its own loss.

    Attributes:
        gradient: (N, 3, S, S) at its images.
        bound: the largest ratio of its norm to the realism gradient's.
        bound_on: where that ratio is taken, "images" or "parameters".
    """

    gradient: Tensor
    bound: float | Tensor
    bound_on: str = "images"


def join_gradients(realism: Tensor, hard: Tensor, bound: float | Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """realism + hard, with each sample's hard gradient shortened to at most `bound` times its realism gradient.

    The bound (ours) keeps the discriminator's pull on every sample within a known factor of the learner's push. It
    compares two gradients of one sample, so batch size, number of processes and scale of the losses do not enter, as
    long as both losses are means over the same samples. A hard gradient of zeros leaves `realism` as it is.

    Args:
        realism: (N, 3, S, S) gradient of G's own loss with respect to the images.
        hard: (N, 3, S, S) gradient of what else G is to minimise.
        bound: the largest ratio of norms, at least 0.

    Returns:
        The joined gradient, and scalars: the mean ratio of norms before the bound, and the part of samples that it
        shortened.
    """
    realism_norm, hard_norm = (torch.linalg.vector_norm(g.flatten(1), dim=1) for g in (realism, hard))
    tiny = torch.finfo(realism.dtype).tiny
    scale = (bound * realism_norm / hard_norm.clamp(min=tiny)).clamp(max=1)  # NaN stays NaN, for the caller to stop at
    ratio = _ratio(hard_norm, realism_norm)
    metrics = {"hard_ratio": ratio.mean(), "hard_clipped": (scale < 1).float().mean()}
    return realism + hard * scale[:, None, None, None], metrics


def join_parameter_gradients(
    realism: Sequence[Tensor], hard: Sequence[Tensor], bound: float | Tensor
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """realism + hard over all parameters of G, with the hard part shortened to at most `bound` times the realism part.

    A bound below 1 leaves every step of G one that descends its realism loss, to first order. That is not so of a bound
    on each image's gradients: over a batch of M, what the hard gradients have in common adds up as M, and realism
    gradients, which point each its own way, as the root of M.

    Args:
        realism: the gradient of G's own loss, by parameter.
        hard: the gradient of what else G is to minimise, likewise.
        bound: the largest ratio of norms, at least 0.

    Returns:
        The joined gradients, and scalars: the ratio of norms before the bound, and whether it was shortened.
    """
    realism_norm, hard_norm = (torch.nn.utils.get_total_norm(list(gradients)) for gradients in (realism, hard))
    tiny = torch.finfo(realism_norm.dtype).tiny
    scale = (bound * realism_norm / hard_norm.clamp(min=tiny)).clamp(max=1)
    ratio = _ratio(hard_norm, realism_norm)
    metrics = {"hard_ratio": ratio, "hard_clipped": (scale < 1).float()}
    return [r + h * scale for r, h in zip(realism, hard, strict=True)], metrics


def _ratio(hard: Tensor, realism: Tensor) -> Tensor:
    """The ratio of two norms to log; a hard gradient that is not finite stays so, for the caller to stop at."""
    ratio = hard / realism.clamp(min=torch.finfo(realism.dtype).tiny)
    return torch.where(hard.isfinite(), ratio.clamp(max=MOST), ratio)
