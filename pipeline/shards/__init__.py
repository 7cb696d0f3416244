"""Shard sets: synthetic samples as an asset, generated once, trusted, and reused.

What reads images imports torch and is loaded when it is asked for: the encoder processes import this package too, and
must start quickly.

For code of your own, `as_torch_dataset(SET)` is a `torch.utils.data.Dataset` and `as_webdataset(SET)` a
`webdataset.WebDataset`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .finish import ShardSetInfo
    from .handout import as_torch_dataset, as_webdataset
    from .reader import ShardSet, open_shard_set
    from .recipe import Recipe
    from .recorder import ShardRecorder
    from .store import ShardStore, open_shard_store
    from .writer import write_shard_set

_HOMES = {
    "Recipe": "recipe",
    "ShardRecorder": "recorder",
    "ShardSet": "reader",
    "ShardSetInfo": "finish",
    "ShardStore": "store",
    "as_torch_dataset": "handout",
    "as_webdataset": "handout",
    "open_shard_set": "reader",
    "open_shard_store": "store",
    "write_shard_set": "writer",
}

__all__ = [
    "Recipe",
    "ShardRecorder",
    "ShardSet",
    "ShardSetInfo",
    "ShardStore",
    "as_torch_dataset",
    "as_webdataset",
    "open_shard_set",
    "open_shard_store",
    "write_shard_set",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
