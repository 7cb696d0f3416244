"""The kinds of folders that other packages write and open as image stores. Imports neither torch nor NumPy.

A package that builds on this one registers what opens its folders, so that `open_images` can open them and this package
need not import that one. `synthcl.pipeline` does so for shard sets.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .store import ImageStore

FolderOpener: TypeAlias = "Callable[[Path | str, int | None], ImageStore]"
"""Takes a folder, or the URL of one, and the pixels a side that images are brought to (None: their own size), and
returns its images."""

_OPENERS: dict[str, FolderOpener] = {}


def register_folder_opener(marker: str, opener: FolderOpener) -> None:
    """Have `open_images` open every folder that holds the file `marker` with `opener`.

    Args:
        marker: a path relative to the folder, such as `.synthcl/shardset.json`.
        opener: see `FolderOpener`.

    Raises:
        ValueError: the marker is registered already.
    """
    if marker in _OPENERS:
        raise ValueError(f"folders with {marker} have an opener already; give another marker")
    _OPENERS[marker] = opener


def find_folder_opener(folder: Path) -> FolderOpener | None:
    """The opener that is registered for a file in this folder; None if there is none."""
    return next((opener for marker, opener in _OPENERS.items() if (folder / marker).is_file()), None)


def markers() -> list[str]:
    """All files by which such folders are known."""
    return list(_OPENERS)
