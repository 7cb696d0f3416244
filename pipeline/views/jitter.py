"""The colour jitter of a batch in which every view has its own order of operations.

Of the four operations three are blends, which share one pass whatever their order (`color.blend`). So a view's order
is: three passes of its own weights, and the hue in one of four slots around them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .color import blend, shift_hue
from .sampling import Jitter
from .selection import apply_where, on_host, per_sample, replaced

_BLENDS = 3


def apply_jitter(images: Tensor, jitter: Jitter) -> Tensor:
    """The jittered images of the selected samples, the others as they are.

    Args:
        images: (N, 3, H, W) in [0, 1].
        jitter: of N samples, on the device of the images.
    """
    if on_host(jitter.selected):
        return _by_group(images, jitter)
    result = images
    for slot in range(_BLENDS + 1):
        if slot > 0:
            result = _blend(result, jitter, slot)
        if jitter.hue is not None and jitter.hue_slot is not None:
            result = apply_where(jitter.hue_slot == slot, shift_hue, result, jitter.hue)
    return torch.where(per_sample(jitter.selected), result, images)


def _by_group(images: Tensor, jitter: Jitter) -> Tensor:
    """Samples whose hue comes in the same slot go through together; those without jitter do nothing."""
    groups = jitter.group
    for slot in groups.unique().tolist():
        if slot >= 0:
            index = (groups == slot).nonzero()[:, 0]
            if len(index) == len(images):
                return _in_order(images, jitter, slot)
            images = replaced(images, index, _in_order(images.index_select(0, index), jitter[index], slot))
    return images


def _in_order(images: Tensor, jitter: Jitter, hue_slot: int) -> Tensor:
    for slot in range(_BLENDS + 1):
        if slot > 0:
            images = _blend(images, jitter, slot)
        if slot == hue_slot and jitter.hue is not None:
            images = shift_hue(images, jitter.hue)
    return images


def _blend(images: Tensor, jitter: Jitter, slot: int) -> Tensor:
    return blend(images, *jitter.blends[:, slot - 1].unbind(1))
