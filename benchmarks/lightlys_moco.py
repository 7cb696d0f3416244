"""Our MoCo v2 with what lightly's does otherwise, one thing at a time, to learn what the difference is due to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from synthcl.learners.base import LearnerOutput
from synthcl.learners.losses import queue_contrast
from synthcl.learners.moco import MoCo
from synthcl.learners.pairs import in_second_half
from synthcl.learners.precision import unit_length


class LightlysMoCo(MoCo):
    """MoCo on pairs of views of real images, as lightly's parts and examples have it.

    Args:
        backbone: see `MoCo`.
        statistics_apart: batch normalisation takes the first views and the second ones each by themselves.
        keys_at_once: lightly asks in both directions in turn, with one memory bank, which takes up the keys of the
            first direction at once. So the queries of the second, the second views, have the keys of the second views
            among what repels them, their own too. The bank of the next step is the same in both.
        options: those of `MoCo`.
    """

    def __init__(
        self, backbone: nn.Module, *, statistics_apart: bool = True, keys_at_once: bool = True, **options: Any
    ) -> None:
        super().__init__(backbone, **options)
        self.statistics_apart, self.keys_at_once = statistics_apart, keys_at_once

    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        second = in_second_half(groups)
        queries = self._embedded(self.backbone, self.head, views, second)
        with torch.no_grad():
            keys = self._embedded(self.momentum_backbone, self.momentum_head, views, second)
        losses = queue_contrast(queries, keys, groups, self.queue, self.temperature)
        if self.keys_at_once:
            bank, taken = self.queue.clone(), keys[second]
            bank[(self.queue_position + torch.arange(len(taken))) % len(bank)] = taken
            losses = torch.where(second, queue_contrast(queries, keys, groups, bank, self.temperature), losses)
        self.note(keys, groups)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), queries.detach())

    def _embedded(self, backbone: nn.Module, head: nn.Module, views: Tensor, second: Tensor) -> Tensor:
        """(N, D) of unit length."""
        if not self.statistics_apart:
            return unit_length(head(backbone(views)))
        parts = (~second, second)
        embedded = [head(backbone(views[part].contiguous(memory_format=torch.channels_last))) for part in parts]
        order = torch.cat([part.nonzero()[:, 0] for part in parts])
        return unit_length(torch.cat(embedded)[order.argsort()])
