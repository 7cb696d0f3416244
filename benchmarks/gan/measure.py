"""How near a GAN's samples are to real images, in the features of a frozen encoder of real images alone.

Shapes: N samples, S pixels a side, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from recipes import Recipe
from torch import Tensor

from synthcl.pipeline.data import ImageStore
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.data.order import Permutation
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation.checkerboard import checkerboard
from synthcl.pipeline.evaluation.features import extract_features
from synthcl.pipeline.evaluation.frechet import frechet_distance
from synthcl.pipeline.evaluation.manifold import NEAREST_K, measure_manifold
from synthcl.pipeline.randomness import Key


class Judge:
    """Measures samples against the same real images each time.

    Args:
        encoder: images to features.
        store: the real images; those that samples are compared with are drawn from it, the same for every arm and seed.
        num_samples: N, for the Fréchet distance.
        num_neighbours: samples for precision and recall, at most N.

    Raises:
        UsageError: fewer images than that.
    """

    def __init__(self, encoder: Encoder, store: ImageStore, num_samples: int, num_neighbours: int) -> None:
        if not NEAREST_K < num_neighbours <= num_samples <= len(store):
            raise UsageError(
                f"--num-samples {num_samples} --num-neighbours {num_neighbours}: give at most {len(store)}, the number "
                f"of images of {store.name}, and as neighbours at most as many and more than {NEAREST_K}"
            )
        self.encoder, self.num_samples, self.num_neighbours = encoder, num_samples, num_neighbours
        order = Permutation(len(store), Key.from_seed(0).child("gan comparison", "real"))
        self.real = self._features(store.read(order(np.arange(num_samples))))
        self.checkerboard = checkerboard(store.read(order(np.arange(num_samples)))).mean().item()
        """That of the real images."""
        others = order(np.arange(num_samples, min(2 * num_samples, len(store))))
        self.floor = None
        if len(others) == num_samples:
            self.floor = frechet_distance(self.real, self._features(store.read(others)))
        """The distance of as many other real images, where there are as many."""

    def measure(self, recipe: Recipe, key: Key) -> dict[str, float]:
        """`frechet_distance`, `precision`, `recall` and `checkerboard` of samples that `key` chooses."""
        images = recipe.draw(self.num_samples, key)
        features = self._features(images)
        manifold = measure_manifold(self.real[: self.num_neighbours], features[: self.num_neighbours], NEAREST_K)
        return {
            "frechet_distance": frechet_distance(self.real, features),
            "precision": manifold.precision,
            "recall": manifold.recall,
            "checkerboard": checkerboard(images).mean().item(),
        }

    def _features(self, images: Tensor) -> Tensor:
        """(N, F) of (N, 3, S, S) uint8."""
        return extract_features(self.encoder, MemoryStore(images, "samples"), device=torch.device("cpu"))
