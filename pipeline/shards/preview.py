"""Previews a set (`shards preview`): a picture with a grid of its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..configs.shards import ShardPreviewConfig
from ..data import open_images
from ..data.store import spread
from ..errors import UsageError
from ..images.grids import Section, save_sections
from ..options.config import takes_options
from .reader import ShardSet, open_shard_set


@takes_options(ShardPreviewConfig)
def preview_shards(path: str | Path, config: ShardPreviewConfig) -> dict[str, Any]:
    """Write a PNG grid of a set's samples. The images of a pair touch each other; values of --sort are below.

    Args:
        path: the set's folder or URL.
        config: the options, or they by name: `preview_shards("shards/c10", out="grid.png", sort="hardness")`.

    Returns:
        `picture`, its path, `num_samples`, `image_size`, and `num_real`, how many real images are above.

    Raises:
        UsageError: a column that is not there, has no order or has no values, or a picture that is not called `.png`.
        DataError: no complete set, or a place that cannot be written.
    """
    shards = open_shard_set(path, where=config.where)
    chosen = _choose(shards, config.num_samples, config.sort, not config.ascending)
    values = [f"{value:.4g}" for value in shards.column(config.sort)[chosen]] if config.sort is not None else ()
    sections = [Section(shards.read_views(chosen), "samples" if config.data is not None else "", values)]
    num_real = 0
    if config.data is not None:
        store = open_images(config.data, image_size=shards.image_size, split="train", data_root=config.data_root)
        num_real = min(config.columns, len(store))
        sections = [Section(store.read(range(num_real)), "real images"), *sections]
    save_sections(sections, Path(config.out), title=_title(shards, len(chosen), config), columns=config.columns)
    return {
        "picture": config.out,
        "num_samples": len(chosen),
        "image_size": shards.image_size,
        "num_real": num_real,
    }


def _title(shards: ShardSet, count: int, config: ShardPreviewConfig) -> str:
    order = "smallest" if config.ascending else "largest"
    words = [f"{shards.path}: {count:,} of {len(shards.locator):,} samples"]
    views = shards.views_per_sample
    words += [f"each {'two' if views == 2 else views} images that touch"] if views > 1 else []
    words += [f"where {config.where}"] if config.where is not None else []
    words += [f"by {config.sort}, the {order} first"] if config.sort is not None else []
    return ", ".join(words)


def _choose(shards: ShardSet, num_samples: int, sort: str | None, descending: bool) -> np.ndarray:
    if sort is None:
        return spread(len(shards), num_samples)
    names = shards.locator.column_names()
    if sort not in names:
        raise UsageError(f"--sort {sort!r} is no column of {shards.path}; it has {', '.join(names)}")
    values = shards.column(sort)
    if values.dtype.kind not in "iuf":
        raise UsageError(f"--sort {sort!r} is not a column of numbers")
    known = np.flatnonzero(~np.isnan(values)) if values.dtype.kind == "f" else np.arange(len(values))
    if not len(known):
        chosen = "" if shards.selected is None else " that --where selects"
        raise UsageError(f"--sort {sort!r}: none of the {len(shards):,} samples of {shards.path}{chosen} has a value")
    order = known[np.argsort(-values[known].astype(np.float64) if descending else values[known], kind="stable")]
    return order[:num_samples]
