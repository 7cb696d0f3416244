"""Contrast between two embeddings of the same views, across the halves of their groups: MoCo v3's loss and NNCLR's.

Both are published for two views. A view is then compared with the second views of all images if it is a first view, and
with the first views if it is a second one. Here the views of a group have two halves, and

- the positives of a view are all other views of its group, as in PPCL (arXiv 2202.06464);
- its negatives are the views of other groups that are in the other half of theirs.

In a group of four where the first half shows G(z) and the second half G_ema(z), negatives cross the generators. For
groups of two this is the published loss. The rest is ours.

Shapes: N views in this process, W processes, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .collectives import gather, gather_with_gradient
from .losses import contrastive_loss, itself
from .pairs import in_second_half
from .precision import at_least_float32, full_precision


def half_contrast(anchors: Tensor, others: Tensor, groups: Tensor, temperature: float) -> Tensor:
    """InfoNCE of anchors among the others of all processes, in the supervised-contrastive form.

    Args:
        anchors: (N, D) of unit length.
        others: (N, D) of unit length, for the same views. A gradient flows to both, where they have one.
        groups: (N,) integers, unique over all processes; views of a group in the order of their numbering.
        temperature: above 0.

    Returns:
        (N,) the loss of each anchor, in at least float32.
    """
    with full_precision(anchors):
        anchors, others = at_least_float32(anchors), at_least_float32(others)
        logits = anchors @ gather_with_gradient(others).T / temperature  # (N, W * N)
        half = in_second_half(groups).to(groups.dtype)
        all_groups, all_halves = gather(torch.stack((groups, half), dim=1)).unbind(1)
        same = groups[:, None] == all_groups[None]
        positives = same & ~itself(logits)
        negatives = ~same & (half[:, None] != all_halves[None])
        return contrastive_loss(logits, positives, positives | negatives)
