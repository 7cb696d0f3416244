"""Images in: every source as one image store, its cache, and the order in which training reads it.

Names are imported when they are first used, so that the command line can import this package without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .caching import cached
    from .order import GlobalOrder, Permutation
    from .sources import open_images, splits_of, test_spec
    from .specs import DATASETS
    from .store import ImageStore

__all__ = [
    "DATASETS",
    "GlobalOrder",
    "ImageStore",
    "Permutation",
    "cached",
    "open_images",
    "splits_of",
    "test_spec",
]

_MODULES = {
    "DATASETS": "specs",
    "GlobalOrder": "order",
    "ImageStore": "store",
    "Permutation": "order",
    "cached": "caching",
    "open_images": "sources",
    "splits_of": "sources",
    "test_spec": "sources",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
