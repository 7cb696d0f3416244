"""`shards list` and `shards info`: which sets there are, and what they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from .finish import index_entry
from .folder import LocalFolder
from .layout import HIDDEN, num_shards, set_file
from .setfile import SetFile, read_set_file


def find_shard_sets(folder: str | Path) -> list[Path]:
    """The folders at or below `folder` that hold a set, in order. Links are not followed.

    Raises:
        DataError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for path, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if set_file(Path(path)).is_file():
            yield Path(path)
            folders.clear()  # a set has no sets inside


def summarize(directory: str | Path) -> dict[str, Any]:
    """A set in a flat dict: name, state, counts, sizes, recipe.

    `state` is `complete`, `partial`, or `damaged` with the reason in `error`.
    """
    directory = Path(directory)
    row: dict[str, Any] = {"path": str(directory), "name": directory.resolve().name}
    try:
        content = read_set_file(directory)
        row |= _facts(content)
        if content.complete:
            LocalFolder(directory)
        else:
            row |= _progress(directory, content)
    except DataError as error:
        row |= {"state": "damaged", "error": str(error)}
    return row


def _facts(content: SetFile) -> dict[str, Any]:
    return {
        "state": "complete" if content.complete else "partial",
        "kind": content.kind,
        "num_samples": content.num_samples,
        "num_published": content.num_samples,
        "num_shards": len(content.shards),
        "views_per_sample": content.views_per_sample,
        "image_size": content.image_size,
        "image_format": content.image_format,
        "bytes": sum(shard.size + shard.sidecar_size for shard in content.shards),
        "recipe_hash": content.recipe.hash,
        "recipe": dict(content.recipe.values),
        "made_with": content.made_with,
    }


def _progress(directory: Path, content: SetFile) -> dict[str, Any]:
    """How far a partial set is."""
    entries = [index_entry(path)[0] for path in sorted((directory / HIDDEN).glob("[0-9]*.parquet"))]
    wanted = num_shards(content.num_samples, content.samples_per_shard) if content.samples_per_shard else len(entries)
    return {
        "num_published": sum(entry.num_samples for entry in entries),
        "num_shards": max(wanted, len(entries)),
        "bytes": sum(entry.size + entry.sidecar_size for entry in entries),
    }


def describe_set(directory: str | Path) -> dict[str, Any]:
    """`summarize` of a set that must be there.

    Raises:
        DataError: no set, or one whose index is damaged.
    """
    read_set_file(Path(directory))
    return summarize(directory)
