"""Shard sets for code of your own: as a `webdataset.WebDataset` and as a `torch.utils.data.Dataset`."""

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
    """A set as a WebDataset pipeline. A sample is a dict with `__key__` and its images by extension.

    The set's files are checked first. Only images, classes and, of generated sets, prompts are decoded: some of
    WebDataset's default decoders for other members run code. A class is a number, or a name in tars from elsewhere.

    Args:
        path: the set's folder.
        decode: WebDataset's name for what images become (`torchrgb8`, `torchrgb`, `pil`, ...); None keeps bytes.
        options: options of `webdataset.WebDataset`, such as `shardshuffle`, `nodesplitter` and `workersplitter`.

    Raises:
        DataError: there is no complete set.
        UsageError: the set is not a folder of this machine.
    """
    shards = open_shard_set(path)
    directory = Path(path).resolve()
    if not directory.is_dir():
        raise UsageError(f"{path} is not a folder here; copy the set, or read it with as_torch_dataset")
    # Absolute paths, since WebDataset would run a name such as `pipe:...` as a command.
    names = [str(directory / shard.name) for shard in shards.locator.shards]
    dataset = wds.WebDataset(names, **{"shardshuffle": False, "empty_check": False, **options})
    if decode is None:
        return dataset
    kinds = [end[1:] for kind in (*IMAGE_FORMATS, "jpeg") for end in member_extensions(shards.views_per_sample, kind)]
    # A class is decoded to a number and a prompt to text; neither runs code.
    manifest = shards.locator.manifest
    if manifest.kind == "adopted":
        return dataset.decode(_decode_class, decode, only=[*kinds, "cls"])
    return dataset.decode(decode, only=[*kinds, *manifest.labels])


def _decode_class(extension: str, data: bytes) -> int | str | None:
    """What `KEY.cls` says: a number, or a name as in the column `label`. None, for WebDataset, of other members."""
    if extension != ".cls":
        return None
    text = data.decode("utf-8", "replace").strip()
    return int(text) if text.removeprefix("-").isdecimal() else text


class TorchShards(Dataset[tuple[Tensor, int]]):
    """A set as a map-style dataset: an item is (image (3, S, S) uint8, sample index); a pair has images (2, 3, S, S).

    A batch is read at once (`__getitems__`). Workers of a data loader may be forked or spawned.
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
    """A set as a map-style PyTorch dataset; see `open_shard_set` for the arguments and errors."""
    return TorchShards(open_shard_set(path, where=where, image_size=image_size))
