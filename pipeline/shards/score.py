"""`shards score`: what an encoder makes of a set's samples, as a side table.

    hardness                  how hard a sample is to tell apart: the contrastive loss of its views, see `hardness`
    nearest_real_distance     1 - the cosine similarity of its features to those of the nearest real image
    cluster                   which of k clusters of the set its features lie in

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
from ..data import open_images
from ..encoder import Encoder, load_encoder
from ..errors import UsageError
from ..evaluation.features import choose_device, extract_features
from ..progress import Progress
from ..randomness import Key
from ..views import Augmentation, multi_view, normalize, to_float
from .reader import ShardSet, open_shard_set
from .tables import check_free, write_side_table

TEMPERATURE = 0.2
"""Of the loss that measures hardness. MoCo v2's (arXiv 2003.04297)."""

PRESET = "adainf"
"""Of the views that hardness is measured on: the one for synthetic data."""

_CLUSTERED_SAMPLES = 50_000  # ours: from how many, spread over the set, the clusters are found


def score_shards(
    path: str | Path,
    *,
    encoder: str | Path,
    data: str | None = None,
    data_root: str | Path | None = None,
    name: str = "score",
    clusters: int = 10,
    batch_size: int = 256,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Add a side table with the scores of all samples of a set.

    Args:
        path: the set's folder.
        encoder: a run of `train`, or an encoder's folder.
        data: SPEC of real images, for `nearest_real_distance`, which is left out without it.
        data_root: where data sets called by name lie.
        name: of the side table.
        clusters: how many clusters, at least 2.
        batch_size: samples at once; each is compared with the others of its batch, so it is part of what hardness is.
        seed: of views and clusters.
        overwrite: replace a table of that name.

    Raises:
        UsageError: a table of that name is there and not to be replaced, or fewer samples than clusters.
        DataError: no complete set, or no encoder.
    """
    shards, directory = open_shard_set(path), Path(path)
    check_free(directory, name, overwrite=overwrite)
    if len(shards) < max(clusters, 2):
        raise UsageError(f"--clusters {clusters} of {len(shards)} samples cannot be; give fewer")
    device = choose_device()
    model = load_encoder(encoder, device)
    real = None
    if data is not None:
        store = open_images(data, data_root=data_root)
        real = F.normalize(extract_features(model, store, device=device), dim=1).to(device)
    kmeans = _find_clusters(model, shards, clusters, batch_size, seed, device)
    scores = _score(model, shards, real, kmeans, batch_size, Key.from_seed(seed).child("score"), device)
    written = write_side_table(directory, name, scores, overwrite=overwrite)
    means = {f"mean_{column}": float(values.mean()) for column, values in scores.items() if column != "cluster"}
    return {"table": str(written), "num_samples": len(shards), "columns": list(scores), **means}


def hardness(
    encoder: Callable[[Tensor], Tensor], images: Tensor, numbers: Tensor, augmentation: Augmentation, key: Key
) -> Tensor:
    """How hard each sample is to tell apart from the others given, for an encoder as it is.

    Two views of each of a sample's images are its positives, those of the other samples its negatives, as in training;
    the loss is taken in the space of the features, since a frozen encoder has no projection head.

    Args:
        encoder: images (M, 3, S, S) in [0, 1] to features (M, F).
        images: (N, V, 3, S, S) uint8.
        numbers: (N,) int64, by which views are drawn.
        augmentation: makes the views.
        key: the stream of random numbers.

    Returns:
        (N,) the mean over a sample's views of the loss (`ppcl`) at temperature 0.2.
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
    """Numbers of samples in batches of one size, and how many of each, the last ones, are new.

    The last batch begins earlier, since a sample among fewer others would seem easier.
    """
    for start in range(0, length, batch_size):
        end = min(start + batch_size, length)
        yield np.arange(max(0, end - batch_size), end), end - start


@torch.inference_mode()
def _find_clusters(
    model: Encoder, shards: ShardSet, clusters: int, batch_size: int, seed: int, device: torch.device
) -> MiniBatchKMeans:
    """k-means on the unit sphere, from samples spread evenly over the set."""
    chosen = np.unique(np.linspace(0, len(shards) - 1, min(len(shards), _CLUSTERED_SAMPLES)).astype(np.int64))
    features = [
        F.normalize(model(shards.read_views(chosen[i : i + batch_size], views=1)[:, 0].to(device)), dim=1).cpu()
        for i in range(0, len(chosen), batch_size)
    ]
    return MiniBatchKMeans(clusters, random_state=seed, n_init=3).fit(torch.cat(features).numpy())
