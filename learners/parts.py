"""A batch through a backbone in parts: the loss and the gradient of the whole batch, in the memory of a part.

Plain gradient accumulation takes the loss of each part by itself, and so has fewer negatives, and other correlations,
than the whole batch. Here all features are there when the loss is taken: a part's activations are dropped after its
forward pass and computed again when the backward pass comes to it (gradient caching, Gao et al. 2021, arXiv 2101.06983,
section 3.2, by way of activation checkpointing, Chen et al. 2016, arXiv 1604.06174). It costs one more forward pass.

Heads and losses see the whole batch. Batch normalisation inside the backbone is over a part, of all processes.

Shapes: N views in this process, F features, P parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def encode_in_parts(
    backbone: nn.Module, views: Tensor, groups: Tensor, num_parts: int, num_real: int | None = None
) -> Tensor:
    """`backbone(views)`, part by part.

    A view's part goes by its group's place among the groups of this process, in order of number and modulo P, for real
    and for synthetic views each by themselves: variations of some of the real images are in the groups of those. So
    each part has as many real and as many synthetic views as any other, and which views normalise together does not
    depend on the number of processes, where each has consecutive groups, a multiple of P, as the pipeline shares them.

    Args:
        backbone: views (N, 3, H, W) to features (N, F).
        views: (N, 3, H, W).
        groups: (N,) integers, of which every part has equally many.
        num_parts: P, at least 1; 1 is `backbone(views)`.
        num_real: how many of the views, the first ones, are real; all of them if not given.

    Returns:
        (N, F).
    """
    if num_parts == 1:
        return backbone(views)
    layout = torch.channels_last if views.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    places = torch.cat((_places(groups[:num_real]), _places(groups[len(groups) if num_real is None else num_real :])))
    order = (places % num_parts).argsort(stable=True)
    parts = [_encode(backbone, views[rows].contiguous(memory_format=layout)) for rows in order.chunk(num_parts)]
    return torch.cat(parts)[order.argsort()]


def apply_in_parts(function: Callable[[Tensor], Tensor], views: Tensor, num_parts: int) -> Tensor:
    """`function(views)` (N, ...), part by part, of a function that takes each view by itself and changes nothing: an
    encoder in eval mode, which it must stay in until the backward pass is over.

    Args:
        function: views (N, 3, H, W) to (N, ...).
        views: (N, 3, H, W).
        num_parts: P, at least 1; 1 is `function(views)`.
    """
    if num_parts == 1:
        return function(views)
    layout = torch.channels_last if views.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    parts = [part.contiguous(memory_format=layout) for part in views.chunk(num_parts)]
    return torch.cat([checkpoint(function, part, use_reentrant=False) for part in parts])


def _places(groups: Tensor) -> Tensor:
    """(N,) the place, from 0, of each view's group among the groups (N,), in order of their numbers."""
    ordered, order = groups.sort(stable=True)
    place = (ordered != ordered.roll(1)).long()
    place[:1].zero_()
    return place.cumsum(0)[order.argsort()]


def _encode(backbone: nn.Module, views: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return backbone(views)

    def first_and_second_pass() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), statistics_kept(backbone)

    return checkpoint(backbone, views, use_reentrant=False, context_fn=first_and_second_pass)


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Within it, running statistics of batch normalisation stay as they are; statistics of the batch still serve."""
    # Any: what torch declares of a module's attributes is that they are tensors or modules.
    tracking: list[Any] = [m for m in module.modules() if getattr(m, "track_running_stats", False)]
    kept = [(m, m.momentum, m.num_batches_tracked.clone()) for m in tracking]
    for m in tracking:
        m.momentum = 0.0
    try:
        yield
    finally:
        for m, momentum, count in kept:
            m.momentum = momentum
            m.num_batches_tracked.copy_(count)
