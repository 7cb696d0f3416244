"""Scores of a set's samples under an encoder, a batch at a time.

    hardness                  how hard the sample is to tell from others: the contrastive loss of its views
    nearest_real_distance     1 - the cosine similarity of its features to those of the nearest real image
    cluster                   which of k clusters of the set holds its features

Shapes: N samples, V images each, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn import functional as F

from ....learners.losses import ppcl
from ...configs.shards import ScoreConfig
from ...data import open_images
from ...data.store import spread
from ...encoder import Encoder
from ...randomness import Key
from ...shards.reader import ShardSet
from ...views import Augmentation, multi_view, normalize, to_float
from ..features import extract_features

TEMPERATURE = 0.2
"""The temperature of the loss that measures hardness. MoCo v2's (arXiv 2003.04297)."""

PRESET = "adainf"
"""The preset of the views that hardness is measured on: the one for synthetic data. Ours."""

CLUSTERED_SAMPLES = 50_000
"""From how many samples at most, spread over the set, the clusters are found. Ours."""


class References(NamedTuple):
    """What samples are compared with, found once for a whole set."""

    kmeans: MiniBatchKMeans
    real: Tensor | None
    """(N, F) float32 on the CPU, normalised features of the real images, if there are any."""


def find_references(model: Encoder, shards: ShardSet, config: ScoreConfig, device: torch.device) -> References:
    """The clusters of a set, and the features of the real images."""
    real = None
    if config.data is not None:
        store = open_images(config.data, image_size=model.image_size, split="train", data_root=config.data_root)
        real = F.normalize(extract_features(model, store, device=device), dim=1)
    return References(_find_clusters(model, shards, config.clusters, config.batch_size, config.seed, device), real)


class Scorer:
    """Scores any batch of a set's samples, alike in whichever process and order.

    Args:
        model: the encoder, on `device`.
        shards: N samples.
        references: of the whole set.
        config: the options.
        device: where to compute.
    """

    def __init__(
        self, model: Encoder, shards: ShardSet, references: References, config: ScoreConfig, device: torch.device
    ) -> None:
        # As for the features of the real images, so that rounding is the same with and without them, and everywhere.
        self.model = model.to(memory_format=torch.channels_last)
        self.shards, self.batch_size, self.device = shards, config.batch_size, device
        self.kmeans = references.kmeans
        self.real = None if references.real is None else references.real.to(device)
        self.augmentation = Augmentation(PRESET, size=model.image_size)
        self.key = Key.from_seed(config.seed).child("score")

    @property
    def num_batches(self) -> int:
        return -(-len(self.shards) // self.batch_size)

    @torch.inference_mode()
    def score(self, batch: int) -> dict[str, np.ndarray]:
        """The columns of the samples of batch number `batch`, which are `batch_size` or, at the end, fewer.

        The last batch looks at samples of the one before too, since a sample among fewer others would seem easier.
        """
        end = min((batch + 1) * self.batch_size, len(self.shards))
        numbers = np.arange(max(0, end - self.batch_size), end)
        new = slice(batch * self.batch_size - end, None)
        images = self.shards.read_views(numbers).to(self.device)
        positions = torch.from_numpy(numbers).to(self.device)
        values = hardness(
            lambda views: self.model.backbone(normalize(views)), images, positions, self.augmentation, self.key
        )
        features = F.normalize(self.model(images[:, 0]), dim=1)[new]
        scores = {
            "hardness": values[new].cpu().numpy(),
            "cluster": self.kmeans.predict(features.cpu().numpy()).astype(np.int32),
        }
        if self.real is not None:
            scores["nearest_real_distance"] = 1 - (features @ self.real.T).amax(dim=1).cpu().numpy()
        return scores


def joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The columns of parts of a set, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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
def _find_clusters(
    model: Encoder, shards: ShardSet, clusters: int, batch_size: int, seed: int, device: torch.device
) -> MiniBatchKMeans:
    """Fit k-means to normalised features of samples that are spread evenly over the set."""
    chosen = spread(len(shards), CLUSTERED_SAMPLES)
    features = [
        F.normalize(model(shards.read_views(chosen[i : i + batch_size], views=1)[:, 0].to(device)), dim=1).cpu()
        for i in range(0, len(chosen), batch_size)
    ]
    # scikit-learn takes seeds of 32 bits.
    return MiniBatchKMeans(clusters, random_state=seed % 2**32, n_init=3).fit(torch.cat(features).numpy())
