"""Synthetic samples from shard sets made ahead: the generator is frozen and long finished.

Shapes: m samples in this process, V = 1 or 2 images a sample, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data import GlobalOrder, ImageStore
from ..errors import UsageError
from ..randomness import Key
from ..shards import ShardSet
from ..views import to_float
from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Regime, Share


class ShardImages(ImageStore):
    """The images of shard sets, one after the other: image v of sample i of them all is number i * V + v.

    Raises:
        UsageError: the sets differ in their number of images a sample, or are of another size than the real images.
    """

    def __init__(self, sets: Sequence[ShardSet], image_size: int) -> None:
        self.sets = list(sets)
        self.name = " + ".join(str(s.path) for s in self.sets)
        self.image_size = image_size
        for each in self.sets:
            check_image_size("--shards", each, image_size)
        self.views_per_sample = self.sets[0].views_per_sample
        for each in self.sets:
            if each.views_per_sample != self.views_per_sample:
                raise UsageError(
                    f"--shards mixes pairs and single images: {self.sets[0].path} and {each.path}; give one kind"
                )
        self.ends = np.cumsum([len(s) for s in self.sets])

    def __len__(self) -> int:
        return int(self.ends[-1]) * self.views_per_sample

    @property
    def num_samples(self) -> int:
        return int(self.ends[-1])

    def read(self, indices: Sequence[int] | np.ndarray | Tensor) -> Tensor:
        numbers = np.asarray(indices, dtype=np.int64)
        samples, views = np.divmod(numbers, self.views_per_sample)
        images = torch.empty((len(numbers), 3, self.image_size, self.image_size), dtype=torch.uint8)
        which = np.searchsorted(self.ends, samples, side="right")
        for number, each in enumerate(self.sets):
            here = np.flatnonzero(which == number)
            if len(here):
                local = samples[here] - (self.ends[number] - len(each))
                # A sample is read once for all of its images that are asked for.
                unique, inverse = np.unique(local, return_inverse=True)
                images[torch.from_numpy(here)] = each.read_views(unique)[
                    torch.from_numpy(inverse), torch.from_numpy(views[here])
                ]
        return images

    def keys(self, indices: Sequence[int] | np.ndarray | Tensor) -> list[str]:
        samples = np.asarray(indices, dtype=np.int64) // self.views_per_sample
        which = np.searchsorted(self.ends, samples, side="right")
        return [
            self.sets[w].keys([int(s - (self.ends[w] - len(self.sets[w])))])[0]
            for w, s in zip(which, samples, strict=True)
        ]


def check_image_size(option: str, shards: ShardSet, image_size: int) -> None:
    """Raises UsageError if the set's images are not of the size that the training is at."""
    if shards.image_size != image_size:
        raise UsageError(
            f"{option} {shards.path} holds images of {shards.image_size} pixels, and training is at {image_size}; "
            f"give --image-size {shards.image_size}, or a set of {image_size} pixels"
        )


class OfflineRegime(Regime):
    """Real images, and samples from shard sets in an order that follows from the seed alone."""

    def __init__(
        self,
        real: RealImages,
        views: ViewMaker,
        images: ImageStore,
        views_per_sample: int,
        share: Share,
        key: Key,
    ) -> None:
        self.real, self.views, self.images, self.views_per_sample, self.share = (
            real,
            views,
            images,
            views_per_sample,
            share,
        )
        self.samples_per_step = share.total
        self.order = GlobalOrder(len(images) // views_per_sample, share.total, key.child("shard order"))

    def samples(self, step: int) -> Tensor:
        """(m, V, 3, S, S) float32 in [0, 1]."""
        indices = self.order.indices(step, self.share.rank, self.share.num_processes)
        numbers = (indices[:, None] * self.views_per_sample + np.arange(self.views_per_sample)).reshape(-1)
        images = to_float(self.images.read(numbers).to(self.real.device, non_blocking=True))
        return images.unflatten(0, (-1, self.views_per_sample))

    def batch(self, step: int) -> MultiViewedBatch:
        synthetic = self.samples(step)
        return assemble(self.real, self.views, self.share, step, self.real.images(step), list(synthetic.unbind(1)))
