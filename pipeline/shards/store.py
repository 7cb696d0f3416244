"""A shard set as an image store: one image a sample, the first one of a pair."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..data.labels import encode_labels
from ..data.store import ImageStore, Indices
from .reader import ShardSet, open_shard_set


class ShardStore(ImageStore):
    """The first images of a set's samples."""

    def __init__(self, shards: ShardSet) -> None:
        self.shards = shards
        self.name = shards.path
        self.image_size = shards.image_size
        if "label" in shards.index.column_names():
            words = shards.table(columns=["label"])["label"].to_pylist()
            if None not in words:
                self.labels, self.class_names = encode_labels(words, lambda: ())

    def __len__(self) -> int:
        return len(self.shards)

    def read(self, indices: Indices) -> Tensor:
        return self.shards.read_views(indices, views=1)[:, 0]

    def keys(self, indices: Indices) -> list[str]:
        return self.shards.keys(indices)


def open_shard_store(path: str | Path, image_size: int | None = None, where: str | None = None) -> ShardStore:
    """Open a shard set as an image store; see `open_shard_set`."""
    return ShardStore(open_shard_set(path, where=where, image_size=image_size))
