"""Previews a set (`shards preview`): a picture with a grid of its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..configs.shards import ShardPreviewConfig
from ..errors import UsageError
from ..images.grids import save_grid
from ..options import takes_options
from .reader import ShardSet, open_shard_set


@takes_options(ShardPreviewConfig)
def preview_shards(path: str | Path, config: ShardPreviewConfig) -> dict[str, Any]:
    """Write a PNG grid of a set's samples. The images of a pair stand side by side.

    Args:
        path: the set's folder or URL.
        config: the options, or they by name: `preview_shards("shards/c10", out="grid.png", sort="hardness")`.

    Returns:
        `picture`, `num_samples` and `image_size`.

    Raises:
        UsageError: a column that is not there or has no order, or a picture that is not called `.png`.
        DataError: no complete set, or a place that cannot be written.
    """
    shards = open_shard_set(path, where=config.where)
    chosen = _choose(shards, config.num_samples, config.sort, not config.ascending)
    images = shards.read_views(chosen).flatten(0, 1)
    # Plus half a level, since the grid rounds down.
    save_grid((images.float() + 0.5) / 127.5 - 1, Path(config.out), columns=config.columns * shards.views_per_sample)
    return {"picture": config.out, "num_samples": len(chosen), "image_size": shards.image_size}


def _choose(shards: ShardSet, num_samples: int, sort: str | None, descending: bool) -> np.ndarray:
    if sort is None:
        return np.unique(np.linspace(0, len(shards) - 1, min(num_samples, len(shards))).astype(np.int64))
    names = shards.locator.column_names()
    if sort not in names:
        raise UsageError(f"--sort {sort!r} is no column of {shards.path}; it has {', '.join(names)}")
    values = shards.column(sort)
    if values.dtype.kind not in "iuf":
        raise UsageError(f"--sort {sort!r} is not a column of numbers")
    known = np.flatnonzero(~np.isnan(values)) if values.dtype.kind == "f" else np.arange(len(values))
    order = known[np.argsort(-values[known].astype(np.float64) if descending else values[known], kind="stable")]
    return order[:num_samples]
