"""Sets for other people's code: a WebDataset pipeline, and a PyTorch dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import webdataset as wds
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import UsageError
from ..images.encoding import IMAGE_FORMATS
from .layout import member_extensions
from .reader import ShardSet, open_shard_set


def as_webdataset(path: str | Path, *, decode: str | None = "torchrgb8", **options: Any) -> wds.WebDataset:
    """A pipeline over a set's tars, each sample a dict with `__key__` and its images by extension.

    The set is opened and its files checked first. Only images are decoded: WebDataset's default decoders would run code
    for some other kinds of members.

    Args:
        path: the set's folder.
        decode: WebDataset's name for what images become (`torchrgb8`, `torchrgb`, `pil`, ...); None leaves bytes.
        options: for `webdataset.WebDataset`, such as `shardshuffle`, `nodesplitter` and `workersplitter`.

    Raises:
        DataError: no complete set.
        UsageError: a set that is not a folder of this machine.
    """
    shards = open_shard_set(path)
    directory = Path(path).resolve()
    if not directory.is_dir():
        raise UsageError(f"{path} is not a folder here; copy the set, or read it with as_torch_dataset")
    # Absolute names: WebDataset would take one such as `pipe:...` for a command.
    names = [str(directory / shard.name) for shard in shards.index.shards]
    dataset = wds.WebDataset(names, **{"shardshuffle": False, "empty_check": False, **options})
    if decode is None:
        return dataset
    kinds = [end[1:] for kind in (*IMAGE_FORMATS, "jpeg") for end in member_extensions(shards.views_per_sample, kind)]
    return dataset.decode(decode, only=kinds)


class TorchShards(Dataset[tuple[Tensor, int]]):
    """Random access to a set: (image (3, S, S), sample index), or a pair's images (2, 3, S, S). uint8.

    Batches are read at once (`__getitems__`), and workers may be forked or spawned.
    """

    def __init__(self, shards: ShardSet) -> None:
        self.shards = shards

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        images = self.shards.read_views(indices)
        images = images[:, 0] if self.shards.views_per_sample == 1 else images
        samples = self.shards.sample_indices(indices)
        return list(zip(torch.unbind(images), samples.tolist(), strict=True))


def as_torch_dataset(path: str | Path, *, where: str | None = None, image_size: int | None = None) -> TorchShards:
    """A set as a map-style dataset; see `open_shard_set`."""
    return TorchShards(open_shard_set(path, where=where, image_size=image_size))
