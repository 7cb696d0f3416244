"""The real images that a generator in training compares its samples with, of its own size.

Where its images are larger than the learner's, the same real images are read once more at its size: enlarged ones would
teach it to blur.

Shapes: b real images and m samples a step in this process, S pixels a side for the learner, H for the generator.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..data import ImageStore, cached, open_images
from ..data.store import PEEKED_IMAGES, spread
from .assembly import RealImages
from .base import Share, resized
from .setup import RegimeSetup

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Counterparts:
    """One real image for each sample of a step, spread evenly over the step's, so that each process finds its samples'
    among its own; with more samples than images they come again.

    Attributes:
        size: H.
        places: (m,) int64, ascending: the place of each sample's among the b images, or, where they are read, among
            those read.
        larger: reads them with H pixels, each once, where the learner's have fewer; None where the learner's serve.
        total_steps: of the training, up to which they are read ahead.
    """

    size: int
    places: Tensor
    larger: RealImages | None = None
    total_steps: int = 0

    @classmethod
    def create(
        cls, real: RealImages, share: Share, size: int, larger: ImageStore | None = None, total_steps: int = 0
    ) -> Counterparts:
        """Those of samples shared out as `share` says.

        Args:
            real: gives the learner's images.
            share: of the samples.
            size: H.
            larger: the same images as `real.store`, at H pixels; None where H is not above S.
            total_steps: of the training.
        """
        count, available = (one.slice.stop - one.slice.start for one in (share, real.share))
        places = np.arange(count) * available // count
        if larger is None:
            return cls(size=size, places=torch.from_numpy(places).to(real.device))
        chosen, places = np.unique(places, return_inverse=True)
        reader = replace(real, store=larger, with_labels=False, chosen=chosen)
        return cls(size=size, places=torch.from_numpy(places).to(real.device), larger=reader, total_steps=total_steps)

    def images(self, step: int, real: Tensor) -> Tensor:
        """(m, 3, H, H) in [-1, 1].

        Args:
            step: counted from 0.
            real: (b, 3, S, S) in [0, 1], the learner's images of the step.
        """
        if self.larger is None:
            return resized(real[self.places], self.size) * 2 - 1
        return self.larger.images(step)[self.places] * 2 - 1

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """Meanwhile what is read is read ahead, as `RealImages.reading_ahead` does it."""
        if self.larger is None:
            yield
            return
        with self.larger.reading_ahead(self.total_steps):
            yield


def open_counterparts(setup: RegimeSetup, share: Share, size: int) -> Counterparts:
    """The real images for a generator of H = `size` pixels: read from `--data` once more where H is above S.

    Images of fewer than H pixels are taken, with a sentence in the log.

    Raises:
        UsageError: `--cache` wants them where they do not fit.
        DataError: images that cannot be read.
    """
    real, config = setup.real, setup.config
    if size <= real.store.image_size:
        return Counterparts.create(real, share, size)
    opened = open_images(config.data, image_size=size, split="train", data_root=config.data_root, as_read=True)
    if setup.accelerator.is_main_process:
        _tell_of_small_ones(opened, config.source)
    store = cached(opened, config.cache, real.device, beside=real.store)
    return Counterparts.create(real, share, size, store, setup.total_steps)


def _tell_of_small_ones(store: ImageStore, generator: str | None) -> None:
    """Warns of images that have fewer pixels than the generator's, as far as a look at some of them tells."""
    sides = store.short_sides(spread(len(store), PEEKED_IMAGES))
    if sides is None or sides.min() >= store.image_size:
        return
    log.warning(
        "--generator %s makes images of %d pixels, and %d of %d images of %s that were looked at have fewer (%d at the "
        "least): they are enlarged for it, and it learns to blur like them; give larger images, a generator of smaller "
        "ones, or --fresh, which leaves it as it is",
        generator, store.image_size, (sides < store.image_size).sum(), len(sides), store.name, sides.min(),
    )  # fmt: skip
