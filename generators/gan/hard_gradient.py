"""Joining the learner's gradient on the images to the discriminator's, within a bound."""

from __future__ import annotations

import torch
from torch import Tensor


def join_gradients(realism: Tensor, hard: Tensor, bound: float) -> tuple[Tensor, dict[str, Tensor]]:
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
    ratio = hard_norm / realism_norm.clamp(min=tiny)
    metrics = {"hard_ratio": ratio.mean(), "hard_clipped": (scale < 1).float().mean()}
    return realism + hard * scale[:, None, None, None], metrics
