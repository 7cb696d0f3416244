"""From images to a multi-viewed batch: the same for every regime.

Shapes: B real images and M synthetic samples a step over all processes, b and m in this process, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...learners.base import LocalViews
from ..data import GlobalOrder, ImageStore
from ..data.ahead import Ahead, costs_to_read
from ..randomness import Key
from ..runtime.readback import sent
from ..views import Augmentation, multi_view, normalize, to_float
from .base import MultiViewedBatch, Share

UNKNOWN = -1
"""The label of what no class is known of."""
VIEWS_PER_IMAGE = 2
"""T(x) and T'(x), of a real image, of G(z) and of G_ema(z), unless asked otherwise."""


@dataclass(frozen=True)
class RealImages:
    """The real images of each step, in an order that follows from the seed alone.

    Attributes:
        store: what they are read from.
        order: says which are a step's.
        share: which of these are this process's.
        device: where they are wanted.
        with_labels: whether `labels` gives theirs.
        chosen: (k,) int64, which of this process's images of a step are read; all of them if None.
    """

    store: ImageStore
    order: GlobalOrder
    share: Share
    device: torch.device
    with_labels: bool = False
    chosen: np.ndarray | None = None

    @classmethod
    def create(
        cls, store: ImageStore, share: Share, key: Key, device: torch.device, *, with_labels: bool = False
    ) -> RealImages:
        """Real images for `share.total` a step, and their labels if asked for."""
        return cls(store, GlobalOrder(len(store), share.total, key.child("order")), share, device, with_labels)

    @property
    def steps_per_epoch(self) -> int:
        return self.order.steps_per_epoch

    def images(self, step: int) -> Tensor:
        """(b, 3, S, S) float32 in [0, 1]; (k, 3, S, S) of those that are chosen."""
        return to_float(self._ahead(step).to(self.device, non_blocking=True))

    def labels(self, step: int) -> Tensor | None:
        """(b,) int64, the labels of the step's images; None if they were not asked for."""
        if not self.with_labels:
            return None
        return sent(self._read_labels(step), self.device)

    def _read_labels(self, step: int) -> Tensor:
        assert self.store.labels is not None, "who asks for labels has looked"
        return torch.from_numpy(np.asarray(self.store.labels, dtype=np.int64)[self._indices(step)])

    def _indices(self, step: int) -> np.ndarray:
        indices = self.order.indices(step, self.share.rank, self.share.num_processes)
        return indices if self.chosen is None else indices[self.chosen]

    def _read(self, step: int) -> Tensor:
        return self.store.read(self._indices(step))

    @cached_property
    def _ahead(self) -> Ahead:
        return Ahead(self._read, self.device)

    @contextmanager
    def reading_ahead(self, total_steps: int) -> Iterator[None]:
        """Meanwhile the images of the next steps of a training are read in a thread, where reading costs."""
        if not costs_to_read(self.store, self.device):
            yield
            return
        with self._ahead.open(total_steps):
            yield


@dataclass(frozen=True)
class ViewMaker:
    """Makes the views of images: the same for real and synthetic ones.

    Attributes:
        augmentation, num_views: of the views that every learner takes.
        key: the run's stream of random numbers.
        local_augmentation, num_local: of the small views of multi-crop; none without them.
    """

    augmentation: Augmentation
    key: Key
    num_views: int = VIEWS_PER_IMAGE
    local_augmentation: Augmentation | None = None
    num_local: int = 0

    def __call__(self, images: Tensor, numbers: Tensor, step: int) -> Tensor:
        """Views (n, num_views, 3, H, W), normalised, of images (n, 3, S, S) in [0, 1].

        `numbers` (n,) are the images' numbers in the step, over all processes, which their parameters are drawn from.
        """
        key = self.key.child("views", step)
        views = multi_view(images, numbers, self.num_views, self.augmentation, key)
        return normalize(views).unflatten(0, (-1, self.num_views))

    def local(self, images: Tensor, numbers: Tensor, step: int) -> Tensor:
        """Local views (n, num_local, 3, h, w), likewise; their numbers are drawn from a stream of their own, so that
        the other views are those of a training without."""
        assert self.local_augmentation is not None  # who asks has looked
        key = self.key.child("local views", step)
        views = multi_view(images, numbers, self.num_local, self.local_augmentation, key)
        return normalize(views).unflatten(0, (-1, self.num_local))


def assemble(
    real: RealImages,
    views: ViewMaker,
    share: Share,
    step: int,
    real_images: Tensor,
    samples: Sequence[Tensor],
    classes: Tensor | None = None,
    anchors: Tensor | None = None,
) -> MultiViewedBatch:
    """The batch of a step: views of the real images, then views of the synthetic samples.

    Args:
        real: the source of the real images, for their numbers.
        views: makes the views.
        share: which of the step's M samples are this process's.
        step: counted from 0.
        real_images: (b, 3, S, S) in [0, 1].
        samples: V tensors (m, 3, S, S) in [0, 1], the images of each sample, mutual positives; none without synthetic
            samples.
        classes: (m,) int64, the samples' labels; unknown if not given.
        anchors: (m,) int64, which of this process's b real images each sample is a positive of; without, samples are
            images of their own.
    """
    numbers = real.share.numbers(real_images.device)
    if samples:
        latents = real.share.total + share.numbers(real_images.device)
        owners = latents if anchors is None else numbers[anchors]

    def of_all(make: Callable[[Tensor, Tensor, int], Tensor]) -> tuple[Tensor, Tensor, int]:
        """Views of one kind and their groups, and how many are real."""
        real_views = make(real_images, numbers, step)
        num_views = real_views.shape[1]
        parts, groups = [real_views.flatten(0, 1)], [numbers.repeat_interleave(num_views)]
        if samples:
            # Each image has its own number to draw its views from: the real ones, the first of each sample, the second.
            made = [make(images, latents + i * share.total, step) for i, images in enumerate(samples)]
            parts.append(torch.cat(made, dim=1).flatten(0, 1))
            groups.append(owners.repeat_interleave(num_views * len(samples)))
        return torch.cat(parts), torch.cat(groups), len(parts[0])

    shown, groups, num_real = of_all(views)
    local = LocalViews(*of_all(views.local)) if views.num_local else None
    labels = real.labels(step)
    if labels is not None:
        known = [labels.repeat_interleave(views.num_views)]
        if samples:
            if anchors is not None:
                classes = labels[anchors]
            drawn = torch.full_like(latents, UNKNOWN) if classes is None else classes
            known.append(drawn.repeat_interleave(views.num_views * len(samples)))
        labels = torch.cat(known)
    return MultiViewedBatch(shown, groups, num_real, labels, local)
