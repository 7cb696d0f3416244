"""`shards score`: scores a set's samples with an encoder and writes the scores to a side table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...configs.shards import ScoreConfig
from ...encoder import load_encoder
from ...errors import UsageError
from ...options.config import takes_options
from ...progress.line import Progress
from ...shards.reader import ShardSet, open_shard_set
from ...shards.side_tables import check_free, write_side_table
from ..features import choose_device
from .on_ray import score_on_ray
from .scorer import Scorer, find_references, joined


@takes_options(ScoreConfig)
def score_shards(path: str | Path, config: ScoreConfig) -> dict[str, Any]:
    """Score all samples of a set and add the scores as a side table.

    Args:
        path: the set's folder or URL.
        config: the options, or they by name: `score_shards("shards/c10", encoder="runs/real")`. Without `data`, the
            table has no `nearest_real_distance`.

    Returns:
        `table`, the file; `num_samples`, `columns`, and `mean_COLUMN` of each column but the clusters.

    Raises:
        UsageError: the set has a table of that name that is not to be replaced, or fewer samples than clusters.
        DataError: the set is not complete, or there is no encoder.
    """
    check_free(path, config.name, overwrite=config.overwrite)
    shards = open_shard_set(path)
    if len(shards) < config.clusters:
        raise UsageError(f"--clusters {config.clusters} is more than the {len(shards)} samples of the set; give fewer")
    scores = score_on_ray(path, config, shards) if config.executor == "ray" else _score_here(config, shards)
    written = write_side_table(path, config.name, scores, overwrite=config.overwrite)
    means = {f"mean_{column}": float(values.mean()) for column, values in scores.items() if column != "cluster"}
    return {"table": str(written), "num_samples": len(shards), "columns": list(scores), **means}


def _score_here(config: ScoreConfig, shards: ShardSet) -> dict[str, np.ndarray]:
    """The columns of all samples, from this process."""
    device = choose_device()
    model = load_encoder(config.encoder, device)
    scorer = Scorer(model, shards, find_references(model, shards, config, device), config, device)
    parts = []
    with Progress("score", len(shards), "samples") as progress:
        for batch in range(scorer.num_batches):
            parts.append(scorer.score(batch))
            progress.update(min((batch + 1) * config.batch_size, len(shards)))
    return joined(parts)
