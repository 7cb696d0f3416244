"""Shard sets: generated or recorded samples on disk, as WebDataset tars with checksums, to be used again and again.

`write_shard_set` writes a set, `ShardRecorder` records one, `open_shard_set` reads one. For code of your own,
`as_torch_dataset(SET)` is a `torch.utils.data.Dataset` and `as_webdataset(SET)` a `webdataset.WebDataset`.

Names are imported when they are first used: what reads images imports torch, and the encoder processes, which import
this package too, must start quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .interop import as_torch_dataset, as_webdataset
    from .manifest import Recipe
    from .reader import ShardSet, ShardStore, open_shard_set, open_shard_store
    from .status import ShardSetInfo
    from .writing.recorder import ShardRecorder
    from .writing.set_writer import write_shard_set

_MODULES = {
    "Recipe": "manifest",
    "ShardRecorder": "writing.recorder",
    "ShardSet": "reader",
    "ShardSetInfo": "status",
    "ShardStore": "reader",
    "as_torch_dataset": "interop",
    "as_webdataset": "interop",
    "open_shard_set": "reader",
    "open_shard_store": "reader",
    "write_shard_set": "writing.set_writer",
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
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
