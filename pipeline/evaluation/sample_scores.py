"""`shards score`: scores a set's samples with an encoder and writes the scores to a side table.

    hardness                  how hard the sample is to tell from others: the contrastive loss of its views
    nearest_real_distance     1 - the cosine similarity of its features to those of the nearest real image
    cluster                   which of k clusters of the set holds its features

Shapes: N samples, V images each, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn import functional as F

from ...learners.losses import ppcl
from ..configs.shards import ScoreConfig
from ..data import open_images
from ..encoder import Encoder, load_encoder
from ..errors import UsageError
from ..options.config import takes_options
from ..progress.line import Progress
from ..randomness import Key
from ..shards.reader import ShardSet, open_shard_set
from ..shards.side_tables import check_free, write_side_table
from ..views import Augmentation, multi_view, normalize, to_float
from .features import choose_device, extract_features

TEMPERATURE = 0.2
"""The temperature of the loss that measures hardness. MoCo v2's (arXiv 2003.04297)."""

PRESET = "adainf"
"""The preset of the views that hardness is measured on: the one for synthetic data. Ours."""

_CLUSTERED_SAMPLES = 50_000  # ours: the clusters are found from at most so many samples, spread over the set


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
    device = choose_device()
    model = load_encoder(config.encoder, device)
    real = None
    if config.data is not None:
        store = open_images(config.data, data_root=config.data_root)
        real = F.normalize(extract_features(model, store, device=device), dim=1).to(device)
    kmeans = _find_clusters(model, shards, config.clusters, config.batch_size, config.seed, device)
    scores = _score(model, shards, real, kmeans, config.batch_size, Key.from_seed(config.seed).child("score"), device)
    written = write_side_table(path, config.name, scores, overwrite=config.overwrite)
    means = {f"mean_{column}": float(values.mean()) for column, values in scores.items() if column != "cluster"}
    return {"table": str(written), "num_samples": len(shards), "columns": list(scores), **means}


def hardness(
    encoder: Callable[[Tensor], Tensor], images: Tensor, numbers: Tensor, augmentation: Augmentation, key: Key
) -> Tensor:
    """Measure how hard each sample is to tell from the others given, for a frozen encoder.

    As in training, two views of each of a sample's images are its positives, and the views of the other samples are its
    negatives. The loss compares features, since a frozen encoder has no projection head.

    Args:
        encoder: images (M, 3, S, S) in [0, 1] to features (M, F).
        images: (N, V, 3, S, S) uint8.
        numbers: (N,) int64, the samples' numbers. A sample's views depend on its number.
        augmentation: makes the views.
        key: the random stream of the views.

    Returns:
        (N,) the loss (`ppcl`) at temperature 0.2, the mean over a sample's views.
    """
    n, views = images.shape[:2]
    each = (numbers[:, None] * views + torch.arange(views, device=numbers.device)).flatten()
    augmented = multi_view(to_float(images.flatten(0, 1)), each, 2, augmentation, key)
    groups = torch.arange(n, device=images.device).repeat_interleave(2 * views)
    embeddings = F.normalize(encoder(augmented).float(), dim=1)
    return ppcl(embeddings, groups, TEMPERATURE).unflatten(0, (n, 2 * views)).mean(dim=1)


@torch.inference_mode()
def _score(
    model: Encoder,
    shards: ShardSet,
    real: Tensor | None,
    kmeans: MiniBatchKMeans,
    batch_size: int,
    key: Key,
    device: torch.device,
) -> dict[str, np.ndarray]:
    scores = {"hardness": np.empty(len(shards), np.float32), "cluster": np.empty(len(shards), np.int32)}
    if real is not None:
        scores["nearest_real_distance"] = np.empty(len(shards), np.float32)
    augmentation = Augmentation(PRESET, size=model.image_size)
    with Progress("score", len(shards), "samples") as progress:
        for numbers, new in _batches(len(shards), batch_size):
            images = shards.read_views(numbers).to(device)
            positions = torch.from_numpy(numbers).to(device)
            values = hardness(lambda views: model.backbone(normalize(views)), images, positions, augmentation, key)
            features = F.normalize(model(images[:, 0]), dim=1)
            kept = numbers[-new:]
            scores["hardness"][kept] = values[-new:].cpu().numpy()
            scores["cluster"][kept] = kmeans.predict(features[-new:].cpu().numpy())
            if real is not None:
                scores["nearest_real_distance"][kept] = 1 - (features[-new:] @ real.T).amax(dim=1).cpu().numpy()
            progress.update(int(kept[-1]) + 1)
    return scores


def _batches(length: int, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Numbers of samples in batches of one size, and how many of each batch, the last ones, are new.

    The last batch also repeats samples, since a sample among fewer others would seem easier.
    """
    for start in range(0, length, batch_size):
        end = min(start + batch_size, length)
        yield np.arange(max(0, end - batch_size), end), end - start


@torch.inference_mode()
def _find_clusters(
    model: Encoder, shards: ShardSet, clusters: int, batch_size: int, seed: int, device: torch.device
) -> MiniBatchKMeans:
    """Fit k-means to normalised features of samples that are spread evenly over the set."""
    chosen = np.unique(np.linspace(0, len(shards) - 1, min(len(shards), _CLUSTERED_SAMPLES)).astype(np.int64))
    features = [
        F.normalize(model(shards.read_views(chosen[i : i + batch_size], views=1)[:, 0].to(device)), dim=1).cpu()
        for i in range(0, len(chosen), batch_size)
    ]
    return MiniBatchKMeans(clusters, random_state=seed, n_init=3).fit(torch.cat(features).numpy())
