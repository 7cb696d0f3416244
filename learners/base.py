"""What a learner is: the contract that every method meets and that the pipeline relies on.

Shapes: N views in this process, D dimensions of an embedding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from .parts import encode_in_parts, statistics_kept
from .recipe import OptimizerRecipe
from .validation import require_positive


class LearnerOutput(NamedTuple):
    """What a learner makes of a multi-viewed batch."""

    loss: Tensor
    """(), to be minimised. Averaged over processes, its gradient is that of one process on the whole batch."""
    hardness: Tensor
    """(N,) detached: each view's own share of the loss, before the mean."""
    embeddings: Tensor
    """(N, D) detached, of unit length: what the loss compares."""


class LocalViews(NamedTuple):
    """Small views of small parts of the images of a batch (multi-crop, Caron et al. 2020, arXiv 2006.09882, section
    3.2), beside its other views."""

    views: Tensor
    """(L, 3, h, w) float, normalised, of another size than the others."""
    groups: Tensor
    """(L,) int64: which image or latent each shows, as of the other views. Every group has some, or none has."""
    num_real: int
    """How many, the first ones, show real images."""


SYNTHETIC_LOSSES = ("ppcl", "clsp")
"""The losses of synthetic views; see `SyntheticTerms`."""


@dataclass(frozen=True, kw_only=True)
class SyntheticTerms:
    """How the synthetic views of a batch enter the loss; the defaults treat all views alike.

    Attributes:
        weight: lambda of `L_real + lambda L_synthetic`, each the mean over its own views; None is the mean over all
            views, as in PPCL (arXiv 2202.06464), and with the loss "clsp" the learner's `clsp_weight`.
        loss: "ppcl": the learner's own loss, for synthetic views as for real ones. "clsp": the learner's own loss on
            real views alone, and `attraction` between the synthetic views of a latent, which are no other view's
            negatives (CLSP, Zeng et al. 2024, arXiv 2408.16965): `L_real + lambda L_synthetic`.
        own_statistics: batch normalisation takes synthetic views by themselves, and its running statistics follow the
            real ones alone, as the auxiliary batch normalisation of AdvProp (Xie et al. 2020, arXiv 1911.09665) does;
            scale and shift are shared, which is ours.
    """

    weight: float | None = None
    loss: str = "ppcl"
    own_statistics: bool = False

    def __post_init__(self) -> None:
        if self.loss not in SYNTHETIC_LOSSES:
            raise ValueError(f"unknown loss of synthetic views {self.loss!r}; choose {' or '.join(SYNTHETIC_LOSSES)}")


class CommonOptions(TypedDict, total=False):
    """What every learner takes besides its own options; see `Learner`."""

    num_parts: int
    synthetic: SyntheticTerms | None


class Learner(nn.Module, ABC):
    """A backbone and what trains it: projection head, loss, and whatever moves along (momentum encoder, queue).

    Both are `nn.Module` state (parameters and buffers), so that a learner's `state_dict` is all of it.

    `num_parts` and `synthetic` act by the methods `project`, `predict` and `reduce`, which `forward` calls in place of
    its networks and of the mean of its losses. A class of the user's that does without is refused where one of these
    options is asked for (see `trial.unheeded`).

    Args:
        num_parts: in how many parts a batch goes through the backbone, to save memory; see `encode_in_parts`.
        synthetic: how synthetic views enter the loss.
    """

    recipe: ClassVar[OptimizerRecipe]
    """The optimizer settings to start from."""

    uses_labels: ClassVar[bool] = False
    """Whether `forward` takes `labels`, so that training needs images with labels."""

    takes_local_views: ClassVar[bool] = False
    """Whether `forward` takes `local`."""

    loss_of_each_view: ClassVar[bool] = True
    """Whether the loss is a mean of losses of single views, so that views can be weighted."""

    clsp_weight: ClassVar[float | None] = None
    """Lambda of CLSP's loss where none is given; None for a learner that does not have that loss."""

    temperature: float = 0.2
    """Temperature of the softmax over similarities: the loss's, or else that of the measure of hardness (ours)."""

    backbone: nn.Module
    """Images (N, 3, H, W), normalised, to features (N, F); `backbone.num_features` is F. It is what is exported and
    probed."""

    def __init__(self, *, num_parts: int = 1, synthetic: SyntheticTerms | None = None) -> None:
        super().__init__()
        require_positive(num_parts=num_parts)
        self.num_parts = num_parts
        self._notes: list[tuple[Tensor, ...]] = []
        self.synthetic = synthetic or SyntheticTerms()
        if self.synthetic.weight is not None and not self.loss_of_each_view:
            raise ValueError(
                f"{type(self).__name__} cannot weight synthetic views: its loss is not a mean over views. Leave the "
                "weight out."
            )
        if self.synthetic.loss == "clsp" and self.clsp_weight is None:
            raise ValueError(
                f"{type(self).__name__} does not have the loss 'clsp', which needs contrast with negatives on real "
                "views; take simclr or moco, or the loss 'ppcl'."
            )

    def project(
        self, backbone: nn.Module, head: nn.Module, views: Tensor, groups: Tensor, num_real: int | None
    ) -> Tensor:
        """`head(backbone(views))`, (N, D), in `num_parts` parts and with the statistics that `synthetic` asks for.

        Args:
            backbone, head: the learner's own, or those that follow them.
            views, groups, num_real: as for `forward`.
        """
        if not self._is_apart(views, num_real):
            return head(encode_in_parts(backbone, views, groups, self.num_parts, num_real))
        real = head(encode_in_parts(backbone, views[:num_real], groups[:num_real], self.num_parts))
        with statistics_kept(backbone), statistics_kept(head):
            made = head(encode_in_parts(backbone, views[num_real:], groups[num_real:], self.num_parts))
        return torch.cat((real, made))

    def predict(self, predictor: nn.Module, projections: Tensor, num_real: int | None) -> Tensor:
        """`predictor(projections)`, (N, D), with the statistics that `synthetic` asks for: for what follows `project`.

        Args:
            predictor: a head on projections.
            projections: (N, E), what `project` gives.
            num_real: as for `forward`.
        """
        if not self._is_apart(projections, num_real):
            return predictor(projections)
        real = predictor(projections[:num_real])
        with statistics_kept(predictor):
            made = predictor(projections[num_real:])
        return torch.cat((real, made))

    def _is_apart(self, views: Tensor, num_real: int | None) -> bool:
        """Whether real and synthetic views are to be normalised each by themselves."""
        return self.synthetic.own_statistics and num_real is not None and num_real < len(views)

    @property
    def synthetic_weight(self) -> float | None:
        """Lambda of `L_real + lambda L_synthetic` as it is in force; None where the loss is one mean over all views."""
        if self.synthetic.weight is None and self.synthetic.loss == "clsp":
            return self.clsp_weight
        return self.synthetic.weight

    def reduce(self, losses: Tensor, num_real: int | None) -> Tensor:
        """The loss () of the losses of single views (N,), weighted as `synthetic` asks for."""
        weight = self.synthetic_weight
        if weight is None or num_real is None or num_real == len(losses):
            return losses.mean()
        return losses[:num_real].mean() + weight * losses[num_real:].mean()

    def least_loss(self, num_positives: int) -> float:
        """What the loss of a view with so many positives cannot fall below, so that those of groups of different sizes
        compare. 0 where the number of positives has no part in it, as for a loss of pairs."""
        return 0.0

    @abstractmethod
    def embed(self, views: Tensor) -> Tensor:
        """Embeddings (N, D) of unit length of views (N, 3, H, W), what the loss compares, with gradient."""

    @abstractmethod
    def forward(self, views: Tensor, groups: Tensor, num_real: int | None = None) -> LearnerOutput:
        """The loss of a multi-viewed batch.

        Args:
            views: (N, 3, H, W) float, normalised.
            groups: (N,) int64: which image or latent a view shows, unique over all processes. Views of one group are
                each other's positives; the views of a group are all in one process, one after the other (0, 0, 1, 1),
                in the order of their numbering, but those of variations of a real image, which come later. Groups may
                have different numbers of views, two or more: in `online` a real image has two and a latent four.
            num_real: how many of the views, the first ones, show real images; all of them if not given.

        A learner with `uses_labels` takes `labels` besides: (N,) int64, the class of what each view shows, below 0
        where there is none. One that `takes_local_views` takes `local`: `LocalViews` or None.

        Returns:
            `LearnerOutput`, for this process's views.
        """

    @contextmanager
    def extra_pass(self) -> Iterator[None]:
        """Within it, a forward pass leaves nothing behind but its loss.

        Running statistics of batch normalisation stay as they are, though the batch's own still serve, and `after_step`
        learns nothing of it. For views that the encoder will not meet later, such as adversarial ones.
        """
        noted = len(self._notes)
        with statistics_kept(self):
            yield
        del self._notes[noted:]

    def note(self, *tensors: Tensor) -> None:
        """Keep (N, ...) tensors of a forward pass for `after_step`, as the keys of a queue; nothing in eval mode or
        under `no_grad`. What a step depends on does not change by it: a checkpoint between steps holds all there is."""
        if self.training and torch.is_grad_enabled():
            self._notes.append(tuple(tensor.detach() for tensor in tensors))

    def take_notes(self) -> tuple[Tensor, ...] | None:
        """What the step's forward passes have noted, one below the other, which is then forgotten; None for nothing."""
        if not self._notes:
            return None
        noted = tuple(torch.cat(parts) for parts in zip(*self._notes, strict=True))
        self._notes.clear()
        return noted

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step, for momentum encoders and for what `note` has kept.

        Args:
            progress: the part of training that is over, in (0, 1].
        """
