"""What quality is measured of, as image stores: a shard set, samples drawn from a generator, or any images; and random
parts of stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...generators import Generator
from ..data import ImageStore, Permutation, open_images
from ..data.parts import PartStore
from ..data.store import Indices, as_indices
from ..errors import DataError, UsageError
from ..generation.opening import open_generator
from ..generation.rendering import Renderer, sampling_key
from ..hub.locations import is_hub_location
from ..randomness import Key
from ..runs.folder import command_of
from ..shards import open_shard_store
from ..shards.layout import manifest_path
from ..shards.network import is_url


class GeneratorStore(ImageStore):
    """The first samples that `synthcl generate` writes with a seed, drawn when they are read."""

    def __init__(self, generator: Generator, name: str, num_samples: int, seed: int, device: torch.device) -> None:
        self.name, self.image_size = name, generator.image_size
        self._num_samples = num_samples
        self._render = Renderer(generator, sampling_key(seed), device)

    def __len__(self) -> int:
        return self._num_samples

    def read(self, indices: Indices) -> Tensor:
        return self._render(as_indices(indices, len(self)))[:, 0].cpu()

    def keys(self, indices: Indices) -> list[str]:
        return [str(index) for index in as_indices(indices, len(self))]


def random_part(store: ImageStore, num_images: int, key: Key) -> ImageStore:
    """`num_images` of a store's images drawn without replacement, in random order; all of them if it has no more."""
    order = Permutation(len(store), key)
    return PartStore(store, order(np.arange(min(num_images, len(store)))))


def is_shard_set(source: str) -> bool:
    """Whether a source is a folder with a shard set of ours, or a URL that is not of the hub: others are sets alone."""
    return (is_url(source) and not is_hub_location(source)) or manifest_path(Path(source)).is_file()


def open_samples(
    source: str,
    num_samples: int | None,
    seed: int,
    device: torch.device,
    image_size: int | None = None,
    data_root: str | None = None,
) -> ImageStore:
    """The samples of a shard set, of a generator (its first ones, of that seed), or any images.

    Args:
        source: a shard set, a generator (as `generate --generator` takes it), or a SPEC.
        num_samples: how many to draw from a generator; sets are opened whole.
        seed: of a generator's samples.
        device: where a generator draws.
        image_size, data_root: of images, as for `open_images`.

    Raises:
        DataError: it is none of these, or a set that cannot be read.
    """
    if is_shard_set(source):
        return open_shard_store(source)
    try:
        generator = open_generator(source, device)
    except ValueError as no_generator:
        if command_of(source) is not None:  # a run is no folder of images, though pictures lie in it
            raise
        try:
            return open_images(source, image_size=image_size, data_root=data_root)
        except UsageError as no_images:
            raise DataError(
                f"{source} is no shard set, no generator ({no_generator}) and no images ({no_images})"
            ) from None
    return GeneratorStore(generator, source, num_samples or DRAWN_SAMPLES, seed, device)


DRAWN_SAMPLES = 10_000
"""Drawn from a generator unless told otherwise. Ours."""
