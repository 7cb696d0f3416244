"""The colour jitter of a batch in which every view has its own order of operations.

Of the four operations three are blends, which share one pass whatever their order (`color.blend`). So a view's order
is: three passes of its own weights, and the hue in one of four slots around them. On an accelerator, where views of all
orders go through together, the three passes come before the hue and again after it, and those that are not a view's own
leave it as it is: one hue, which costs as much as three blends, instead of one in each slot.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .color import blend, shift_hue
from .sampling import Jitter
from .selection import on_host, per_sample, replaced

_BLENDS = 3
_UNCHANGED = (1.0, 0.0, 0.0)
"""The weights of a blend that leaves an image as it is."""


def apply_jitter(images: Tensor, jitter: Jitter) -> Tensor:
    """The jittered images of the selected samples, the others as they are.

    Args:
        images: (N, 3, H, W) in [0, 1].
        jitter: of N samples, on the device of the images.
    """
    if on_host(jitter.selected):
        return _by_group(images, jitter)
    slots = range(1, _BLENDS + 1)
    result = images
    if jitter.hue is None or jitter.hue_slot is None:
        for slot in slots:
            result = _blend(result, jitter, slot)
    else:
        before = jitter.hue_slot[:, None] >= torch.arange(1, _BLENDS + 1, device=images.device)
        for slot in slots:
            result = _blend(result, jitter, slot, before[:, slot - 1])
        result = shift_hue(result, jitter.hue)
        for slot in slots:
            result = _blend(result, jitter, slot, ~before[:, slot - 1])
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


def _blend(images: Tensor, jitter: Jitter, slot: int, own: Tensor | None = None) -> Tensor:
    """The blend of a slot; of `own` (N,) bool, if it is given, and the other samples to the bit as they are."""
    weights = jitter.blends[:, slot - 1].unbind(1)
    if own is not None:
        weights = tuple(torch.where(own, one, rest) for one, rest in zip(weights, _UNCHANGED, strict=True))
    return blend(images, *weights)
