"""What a learner is: the contract that every method meets and that the pipeline relies on.

Shapes: N views in this process, D dimensions of an embedding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from .parts import encode_in_parts
from .recipe import Recipe


class LearnerOutput(NamedTuple):
    """What a learner makes of a multi-viewed batch."""

    loss: Tensor
    """(), to be minimised. Averaged over processes, its gradient is that of one process on the whole batch."""
    hardness: Tensor
    """(N,) detached: each view's own share of the loss, before the mean."""
    embeddings: Tensor
    """(N, D) detached, of unit length: what the loss compares."""


class Learner(nn.Module, ABC):
    """A backbone and what trains it: projection head, loss, and whatever moves along (momentum encoder, queue).

    Both are `nn.Module` state (parameters and buffers), so that a learner's `state_dict` is all of it.
    """

    recipe: ClassVar[Recipe]
    """The optimizer settings to start from."""

    backbone: nn.Module
    """Images (N, 3, H, W), normalised, to features (N, F); `backbone.num_features` is F. It is what is exported and
    probed."""

    num_parts: int = 1
    """In how many parts a batch goes through the backbone, to save memory; see `encode_in_parts`."""

    def encode(self, backbone: nn.Module, views: Tensor, groups: Tensor) -> Tensor:
        """Features (N, F) of `backbone`, the learner's own or one that follows it, in `num_parts` parts."""
        return encode_in_parts(backbone, views, groups, self.num_parts)

    @abstractmethod
    def forward(self, views: Tensor, groups: Tensor) -> LearnerOutput:
        """The loss of a multi-viewed batch.

        Args:
            views: (N, 3, H, W) float, normalised.
            groups: (N,) int64: which image or latent a view shows, unique over all processes. Views of one group are
                each other's positives; the views of a group are all in one process and stand in the order of their
                numbering. Groups may have different numbers of views, two or more.

        Returns:
            `LearnerOutput`, for this process's views.
        """

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step, for momentum encoders.

        Args:
            progress: the part of training that is over, in (0, 1].
        """
