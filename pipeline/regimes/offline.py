"""Synthetic samples from shard sets made ahead: the generator is frozen and long finished.

Shapes: m samples in this process, V images a sample, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...learners.base import Learner
from ..configs.recipes import RECIPES
from ..configs.train import TrainConfig
from ..data import GlobalOrder, ImageStore, cached
from ..data.ahead import Ahead, costs_to_read
from ..data.order import SampleOrder, StepOrder
from ..data.window_order import WindowOrder
from ..errors import UsageError
from ..randomness import Key
from ..runtime.readback import sent
from ..shards import ShardSet, open_shard_set
from ..views import to_float
from .anchored import AnchoredOrder, anchors_of, are_anchored, holds_variations
from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Regime, Share
from .sample_labels import labels_of_sets
from .setup import RegimeSetup


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
            check_image_size("--shards", each, image_size, "--resize-samples")
        self.views_per_sample = self.sets[0].views_per_sample
        for each in self.sets:
            if each.views_per_sample != self.views_per_sample:
                raise UsageError(
                    f"--shards mixes samples of {self.views_per_sample} and of {each.views_per_sample} images: "
                    f"{self.sets[0].path} and {each.path}; give one kind"
                )
        self.ends = np.cumsum([len(s) for s in self.sets])

    def __len__(self) -> int:
        return int(self.ends[-1]) * self.views_per_sample

    @property
    def num_samples(self) -> int:
        return int(self.ends[-1])

    @property
    def remote(self) -> bool:
        """Whether any of the sets lies elsewhere."""
        return any(each.remote for each in self.sets)

    def prefetch(self, samples: np.ndarray) -> None:
        """Begin to fetch the shards of samples that will be read soon, those that lie elsewhere. Returns at once."""
        for number, (each, end) in enumerate(zip(self.sets, self.ends, strict=True)):
            each.prefetch(samples[self._which(samples) == number] - (end - len(each)))

    def _which(self, samples: np.ndarray) -> np.ndarray:
        """The set of each sample."""
        return np.searchsorted(self.ends, samples, side="right")

    def read(self, indices: Sequence[int] | np.ndarray | Tensor) -> Tensor:
        numbers = np.asarray(indices, dtype=np.int64)
        samples, views = np.divmod(numbers, self.views_per_sample)
        images = torch.empty((len(numbers), 3, self.image_size, self.image_size), dtype=torch.uint8)
        which = self._which(samples)
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

    def files(self) -> list[Path]:
        return [] if self.remote else [path for each in self.sets for path in each.files()]

    def _identity(self) -> bytes:
        return b"".join(each.recipe.hash.encode() + each.selection() for each in self.sets)

    def keys(self, indices: Sequence[int] | np.ndarray | Tensor) -> list[str]:
        samples = np.asarray(indices, dtype=np.int64) // self.views_per_sample
        which = self._which(samples)
        return [
            self.sets[w].keys([int(s - (self.ends[w] - len(self.sets[w])))])[0]
            for w, s in zip(which, samples, strict=True)
        ]


def check_image_size(option: str, shards: ShardSet, image_size: int, resizing: str | None = None) -> None:
    """Raises UsageError if the set's images are not of the size that the training is at; `resizing` is the option that
    would bring them to it."""
    if shards.image_size != image_size:
        also = f", a set of {image_size} pixels, or {resizing}" if resizing else f", or a set of {image_size} pixels"
        raise UsageError(
            f"{option} {shards.path} holds images of {shards.image_size} pixels, and training is at {image_size}; "
            f"give --image-size {shards.image_size}{also}"
        )


def check_recipe(option: str, shards: ShardSet, config: TrainConfig) -> None:
    """Raises UsageError if the set holds several images a sample and --recipe is for single images."""
    if config.recipe is not None and RECIPES[config.recipe]["pairs"] is False and shards.views_per_sample > 1:
        raise UsageError(
            f"{option} {shards.path} holds {shards.views_per_sample} images a sample, and --recipe {config.recipe} is "
            "for single ones; give a set that was made without --pairs"
        )


def check_num_samples(name: str, num_samples: int, samples_per_step: int) -> None:
    """Raises UsageError if sets have fewer samples than a step takes; `name` is theirs."""
    if samples_per_step > num_samples:
        raise UsageError(
            f"--shards {name} has {num_samples} samples, fewer than the {samples_per_step} of a step "
            f"(--batch-size times --synthetic-ratio); lower either, or give more"
        )


def sample_order(images: ShardImages, share: Share, key: Key, shards_per_window: int | None) -> SampleOrder:
    """The order of the sets' samples: windows of this many shards, wherever they lie; without, a permutation of all.

    Raises:
        UsageError: fewer samples than a step takes, or a cache that does not hold the shards that a step needs.
    """
    check_num_samples(images.name, images.num_samples, share.total)
    key = key.child("shard order")
    if shards_per_window is None:
        return GlobalOrder(images.num_samples, share.total, key)
    for each in images.sets:
        # A step at the end of a window needs the next one too.
        each.check_cache(2 * shards_per_window)
    sizes = np.concatenate([each.shard_sizes for each in images.sets])
    return WindowOrder(sizes, share.total, key, shards_per_window)


def set_facts(sets: Sequence[ShardSet]) -> dict[str, Any]:
    """`set_hashes`, the recipes of sets, `set_sizes`, how many of their samples are read, and `generator_hash` where
    they are all of one generator."""
    hashes = {"set_hashes": [each.recipe.hash for each in sets], "set_sizes": [len(each) for each in sets]}
    if not all(map(_of_one_generator, sets)):
        return hashes
    generators = {(each.recipe.values.get("generator") or {}).get("weights") for each in sets}
    return hashes | ({"generator_hash": generators.pop()} if len(generators) == 1 and None not in generators else {})


def _of_one_generator(shards: ShardSet) -> bool:
    """Whether the generator stayed as it was while the set was made, unlike that of a joint training."""
    kind, options = shards.locator.manifest.kind, shards.recipe.values.get("recorded") or {}
    return kind == "generated" or (kind == "recorded" and options.get("fresh") is True)


class OfflineRegime(Regime):
    """Real images, and samples from shard sets in an order that follows from the seed alone.

    Args:
        real: the source of the real images.
        views: makes the views.
        images: the samples' images, of the sets or of a cache.
        views_per_sample: V.
        share: which of a step's samples are this process's.
        order: of the samples.
        total_steps: of the training; nothing is fetched for later ones.
        sets: where the images are from, for what the run and its result record of them.
        classes: (samples,) int64, the label of each sample, on the host; unknown if not given.
        anchors: (m,) int64, which of this process's real images the samples of a step are positives of, where they are
            variations of real ones.
    """

    def __init__(
        self,
        real: RealImages,
        views: ViewMaker,
        images: ImageStore,
        views_per_sample: int,
        share: Share,
        order: StepOrder,
        total_steps: int,
        sets: Sequence[ShardSet] = (),
        classes: Tensor | None = None,
        anchors: Tensor | None = None,
    ) -> None:
        self.anchors = anchors
        self.sets, self.classes = sets, classes
        self.real, self.views, self.images, self.views_per_sample = real, views, images, views_per_sample
        self.share, self.order = share, order
        self.samples_per_step = share.total
        self._fetched = -1  # the last window that was asked for
        self._last_step = total_steps - 1
        self._ahead = Ahead(self._read, real.device)

    @property
    def facts(self) -> dict[str, Any]:
        return set_facts(self.sets) | ({"anchored": True} if self.anchors is not None else {})

    @property
    def made_of(self) -> dict[str, str]:
        return {
            "shards": ", ".join(f"{each.selected_in_words} of recipe {each.recipe.hash[:16]}" for each in self.sets)
        }

    def samples(self, step: int) -> Tensor:
        """(m, V, 3, S, S) float32 in [0, 1]."""
        images = to_float(self._ahead(step).to(self.real.device, non_blocking=True))
        return images.unflatten(0, (-1, self.views_per_sample))

    def _read(self, step: int) -> Tensor:
        """(m V, 3, S, S) uint8."""
        self._fetch_ahead(step)
        indices = self.order.indices(step, self.share.rank, self.share.num_processes)
        numbers = (indices[:, None] * self.views_per_sample + np.arange(self.views_per_sample)).reshape(-1)
        return self.images.read(numbers)

    @contextmanager
    def open(self) -> Iterator[None]:
        if not costs_to_read(self.images, self.real.device):
            yield
            return
        with self._ahead.open(self._last_step + 1):
            yield

    def _fetch_ahead(self, step: int) -> None:
        """Have the shards of this step's window and of the next on their way, where they lie elsewhere."""
        if not isinstance(self.order, WindowOrder) or not isinstance(self.images, ShardImages):
            return
        window = self.order.window(step)
        for soon in (window, window + 1):
            if self._fetched < soon <= self.order.window(self._last_step):
                self.images.prefetch(self.order.first_samples(soon))
                self._fetched = soon

    def batch(self, step: int, learner: Learner) -> MultiViewedBatch:
        synthetic = list(self.samples(step).unbind(1))
        classes = None
        if self.classes is not None:
            classes = self.classes[self.order.indices(step, self.share.rank, self.share.num_processes)]
            classes = sent(classes, self.real.device)
        return assemble(
            self.real, self.views, self.share, step, self.real.images(step), synthetic, classes, self.anchors
        )


def build(setup: RegimeSetup) -> OfflineRegime:
    """See `build_regime`.

    Raises:
        UsageError: sets of another image size, of pairs where a recipe is for single images, or of fewer samples than a
            step takes.
    """
    config, share, size = setup.config, setup.synthetic_share(), setup.real.store.image_size
    own = {"image_size": size} if config.resize_samples else {"mixed_size": size}
    sets = [open_shard_set(path, where=config.where, **own) for path in config.shards]
    for each in sets:
        check_recipe("--shards", each, config)
    images = ShardImages(sets, size)
    # The order follows from what is read, and not from where it is kept meanwhile.
    anchors = None
    if not config.anchored and not any(holds_variations(each) for each in sets):
        raise UsageError(f"--no-anchored is for variations of real images, and {images.name} holds none; leave it out")
    if config.anchored and are_anchored(sets):
        if config.synthetic_classes:
            raise UsageError(
                "--synthetic-classes: variations of real images have the labels of those; leave it out, or give "
                "--no-anchored"
            )
        if images.remote:
            raise UsageError(f"--shards {images.name}: variations are read one by one; copy the set here first")
        if config.shards_per_window is not None:
            raise UsageError(
                f"--shards-per-window {config.shards_per_window}: variations are read in the order of their images; "
                "leave it out, or give --no-anchored"
            )
        order: StepOrder = AnchoredOrder(setup.real, share, sets, setup.key)
        anchors = torch.from_numpy(anchors_of(share, setup.real.share)).to(setup.real.device)
    else:
        order = sample_order(images, share, setup.key, config.shards_per_window)
    store = cached(images, config.cache, setup.real.device)
    classes = labels_of_sets("--shards", sets, setup.real.store) if config.synthetic_classes else None
    return OfflineRegime(
        setup.real,
        setup.views,
        store,
        images.views_per_sample,
        share,
        order,
        setup.total_steps,
        sets,
        classes,
        anchors,
    )
