"""Scores of a set's samples on a Ray cluster: each worker keeps the encoder and scores the parts that it is given.

What samples are compared with (clusters, real images) is found once, by this process, and sent to the workers. A part
has the same scores whichever worker computes them, so that to do one twice, as when a worker seems lost, does no harm.
"""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...cluster.ray_cluster import check_installed, connected, quiet
from ...cluster.ray_pool import RayPool
from ...cluster.worker import enter_node
from ...configs.shards import ScoreConfig
from ...encoder import Encoder, load_encoder
from ...errors import DataError
from ...progress.line import Progress
from ...shards.network import is_url
from ...shards.reader import ShardSet, open_shard_set
from ..features import choose_device
from .scorer import References, Scorer, find_references, joined

SAMPLES_PER_PART = 2048
"""That a worker scores at a time. Ours: seconds on a CPU, and some hundred parts for a million samples."""


class Opened(NamedTuple):
    """What a worker has opened, to tell whether it is what the others have."""

    encoder: str
    recipe: str
    num_samples: int


class ScoreWorker:
    """Scores parts of a set, in an actor; see `cluster.worker.Worker`.

    Args:
        path: the set's folder or URL.
        config: the options.
        references: what its samples are compared with.
        folder: the one that relative paths in the options start from.
        gpu: whether it may use one.
    """

    def __init__(self, path: str, config: ScoreConfig, references: References, folder: str, gpu: bool) -> None:
        self.path, self.config, self.references = path, config, references
        self.folder, self.gpu = folder, gpu
        self.scoring = threading.Lock()
        self.amounts: dict[int, int] = {}

    def open(self) -> Opened:
        """Load the encoder, and open the set."""
        enter_node(self.folder, self.gpu)
        self.shards = open_shard_set(self.path)
        self.model = load_encoder(self.config.encoder, choose_device())
        return opened(self.model, self.shards)

    def start(self, index: int, size: int) -> None:
        """Get ready to score."""
        self.scorer = Scorer(self.model, self.shards, self.references, self.config, choose_device())

    def work(self, part: int) -> dict[str, np.ndarray]:
        """The columns of a part's samples."""
        with self.scoring:
            scores = []
            for batch in batches_of(part, self.scorer.num_batches, self.config.batch_size):
                scores.append(self.scorer.score(batch))
                self.amounts[part] = self.amounts.get(part, 0) + len(scores[-1]["hardness"])
            del self.amounts[part]
            return joined(scores)

    def progress(self) -> dict[int, int]:
        """Samples of the part at hand that are scored."""
        return dict(self.amounts)

    def close(self) -> None:
        """Nothing is held."""


def opened(model: Encoder, shards: ShardSet) -> Opened:
    """What is open here."""
    return Opened(model.weights_hash(), shards.recipe.hash, len(shards))


def batches_of(part: int, num_batches: int, batch_size: int) -> range:
    """The numbers of a part's batches."""
    each = max(1, SAMPLES_PER_PART // batch_size)
    return range(part * each, min((part + 1) * each, num_batches))


def score_on_ray(path: str | Path, config: ScoreConfig, shards: ShardSet) -> dict[str, np.ndarray]:
    """The columns of all samples of a set, from the workers of a Ray cluster.

    Args:
        path: of the set, as it was given.
        config: the options.
        shards: the set.

    Raises:
        UsageError: ray is not installed, or no node has room for a worker.
        DataError: a part failed again and again, or a node does not see the same set and encoder.
    """
    check_installed()
    place = str(path) if is_url(path) else os.path.abspath(path)
    num_batches = -(-len(shards) // config.batch_size)
    num_parts = -(-num_batches // len(batches_of(0, num_batches, config.batch_size)))
    scores: dict[int, dict[str, np.ndarray]] = {}
    scored = 0

    def check(other: Opened, node: str) -> None:
        if other != own:
            raise DataError(
                f"a worker on node {node} sees another set or another encoder than this command; both must be on a "
                "file system that all nodes share, under the same path"
            )

    def done(part: int, columns: dict[str, np.ndarray]) -> None:
        nonlocal scored
        scores[part] = columns
        scored += len(columns["hardness"])
        progress.update(scored)

    # Connected before what takes long, so that a wrong address is told at once.
    with quiet(), connected(config.ray_address):
        device = choose_device()
        model = load_encoder(config.encoder, device)
        own = opened(model, shards)
        references = find_references(model, shards, config, device)
        make = functools.partial(ScoreWorker, place, config, references, os.getcwd(), config.worker_gpus != 0)
        with (
            RayPool(make, **config.pool_options()) as pool,
            Progress("score", len(shards), "samples") as progress,
        ):
            pool.run(
                range(num_parts),
                name=lambda part: f"part {part} of {num_parts} of the set",
                check=check,
                done=done,
                report=lambda amount, workers: progress.update(max(progress.done, scored + amount), workers=workers),
            )
    return joined([scores[part] for part in range(num_parts)])
