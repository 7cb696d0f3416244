"""Variations of real images as positives of those (CLSP, Zeng et al. 2024, arXiv 2408.16965): which samples a step has.

Shapes: B real images and M samples a step over all processes, b and m in this process, M at most B.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..data.order import StepOrder
from ..errors import UsageError
from ..randomness import Key
from ..shards import ShardSet
from .assembly import RealImages
from .base import Share


def are_anchored(sets: Sequence[ShardSet]) -> bool:
    """Whether sets hold variations of real images.

    Raises:
        UsageError: some do, and others do not.
    """
    anchored = [holds_variations(each) for each in sets]
    if any(anchored) and not all(anchored):
        raise UsageError(
            f"--shards {sets[anchored.index(True)].path} holds variations of real images, and "
            f"{sets[anchored.index(False)].path} does not; give one kind, or --no-anchored"
        )
    return all(anchored)


def holds_variations(shards: ShardSet) -> bool:
    """Whether a set's samples are variations of real images."""
    return "anchor_index" in shards.locator.column_names()


def anchors_of(share: Share, real: Share) -> np.ndarray:
    """(m,) which of this process's b real images have a sample, spread evenly over them; the same images of a step
    however many processes share it.

    Raises:
        UsageError: more samples than real images.
    """
    if share.total > real.total:
        raise UsageError(
            f"--shards: a step has {share.total} variations and {real.total} real images; lower --synthetic-ratio to 1 "
            "or less, or give --no-anchored"
        )
    count, available = (one.slice.stop - one.slice.start for one in (share, real))
    return np.arange(count) * available // count


class AnchoredOrder(StepOrder):
    """At each step, a variation of each of some of the real images that the step has.

    Args:
        real: the real images, in their order.
        share: of the samples of a step.
        sets: the sets of variations.
        key: what is drawn from which variation it is, where an image has several.

    Raises:
        UsageError: sets of variations of other images, or real images without any; or more samples than real images.
    """

    def __init__(self, real: RealImages, share: Share, sets: Sequence[ShardSet], key: Key) -> None:
        self.real, self.share, self.key = real, share, key.child("anchored")
        whole, positions = real.store.origin()
        found = []
        for each in sets:
            if (each.recipe.values.get("anchors") or {}).get("images") != whole:
                raise UsageError(
                    f"--shards {each.path} holds variations of other images than {real.store.name} at "
                    f"{each.image_size} pixels; train on the images that were its --anchors, or give --no-anchored"
                )
            found.append(each.column("anchor_index").astype(np.int64))
        owners = np.concatenate(found)
        self._samples = np.argsort(owners, kind="stable")
        ordered = owners[self._samples]
        self._first = np.searchsorted(ordered, positions, side="left")
        self._count = np.searchsorted(ordered, positions, side="right") - self._first
        if missing := int((self._count == 0).sum()):
            raise UsageError(
                f"--shards {' + '.join(str(each.path) for each in sets)} has no variation of {missing:,} of the "
                f"{len(positions):,} images of {real.store.name}; make more (`synthcl generate --num-samples "
                f"{len(positions)}`), train on fewer, or give --no-anchored"
            )

    def indices(self, step: int, rank: int = 0, num_processes: int = 1) -> np.ndarray:
        """(m,) the samples of this process in a step."""
        chosen = anchors_of(self.share, self.real.share)
        images = self.real.order.indices(step, rank, num_processes)[chosen]
        numbers = self.share.numbers(torch.device("cpu"))
        drawn = self.key.child(step).at(numbers).integers("variation", 1 << 30).numpy()
        return self._samples[self._first[images] + drawn % self._count[images]]
