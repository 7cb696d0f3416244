"""`--eval-every`: nearest neighbours during training, to watch it by.

A number of its own: the bank is a part of the training images and the score is of a part of the test images, so it lies
somewhat below what `eval knn` says. Nothing is chosen by it; the run ends with the weights that it would have without.

Shapes: N images of a part, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...configs.evaluate import KNN_PRESETS
from ...data import ImageStore, cached, open_images, test_spec
from ...data.parts import PartStore
from ...encoder import Encoder
from ...errors import DataError, UsageError
from ...randomness import Key
from ...runtime.distributed import broadcast_state
from ..features import shared_features
from ..knn import knn_scores
from ..subsets import labeled_subset
from ..task import match_labels

BANK_IMAGES, SCORED_IMAGES = 5000, 2000
"""Images of the train and the test split, about: each class gives the same part of its images. Ours: seconds on a
CPU, and a standard error of one point at most."""
PRESET = "dino"
"""The entry of `KNN_PRESETS` that is used: its few neighbours suit a part of the images."""


@dataclass(frozen=True)
class _Part:
    """Some images of a store with their labels as classes, (N,) int64."""

    store: ImageStore
    chosen: np.ndarray
    labels: Tensor

    @classmethod
    def of(cls, store: ImageStore, labels: Tensor, num_images: int, key: Key) -> _Part:
        chosen = labeled_subset(labels, min(1.0, num_images / len(store)), key)
        return cls(store, chosen.numpy(), labels[chosen])

    def images(self) -> ImageStore:
        return PartStore(self.store, self.chosen)

    def kept(self, cache: str, device: torch.device) -> _Part:
        """The same images, kept decoded where `cache` says."""
        return _Part(cached(self.images(), cache, device), np.arange(len(self.chosen)), self.labels)


@dataclass(frozen=True)
class KnnMonitor:
    """The accuracy of an encoder in training, by nearest neighbours.

    Attributes:
        bank, scored: the images to find neighbours among, and those to find them for.
        num_classes: of both.
        device: where features are computed.
        precision: of the encoder, as for `extract_features`.
    """

    bank: _Part
    scored: _Part
    num_classes: int
    device: torch.device
    precision: str

    @classmethod
    def open(
        cls,
        train: ImageStore,
        spec: str,
        seed: int,
        device: torch.device,
        precision: str,
        *,
        cache: str = "none",
        data_root: str | None = None,
    ) -> KnnMonitor:
        """Choose the images, by the seed.

        Args:
            train: the training images.
            spec: what the user calls them, to find their test split by.
            seed: of the run.
            device, precision: see above.
            cache: where the images to score on are kept decoded, as `cached` takes it.
            data_root: folder of the data sets that are called by name.

        Raises:
            UsageError: there are no labels, or no test split.
        """
        scored = test_spec(spec)
        if scored is None:
            raise UsageError(
                f"--eval-every needs images to score on, and {spec} has no test or validation split besides those it "
                "trains on; leave it out, and use `synthcl eval knn RUN --data ... --test-data ...` afterwards"
            )
        try:
            test = open_images(scored, image_size=train.image_size, data_root=data_root)
            train_labels, test_labels, classes = match_labels(train, test)
        except DataError as error:
            raise UsageError(f"--eval-every cannot be used: {error}") from None
        # The name decides which images are drawn; another would change the numbers of runs that exist.
        key = Key.from_seed(seed).child("evaluation", "online")
        return cls(
            _Part.of(train, train_labels, BANK_IMAGES, key.child("bank")),
            _Part.of(test, test_labels, SCORED_IMAGES, key.child("scored")).kept(cache, device),
            len(classes),
            device,
            precision,
        )

    def __call__(self, encoder: Encoder) -> dict[str, float]:
        """`knn_top1`, in [0, 1]: the same in every process, each of which computes a share of the features.

        Args:
            encoder: a copy of what is trained; the main process's is taken everywhere.

        Raises:
            RunStopped: features that are no numbers, in all processes alike.
        """
        broadcast_state(encoder)
        bank, scored = (
            shared_features(encoder, part.images(), self.device, self.precision) for part in (self.bank, self.scored)
        )
        k, temperature = KNN_PRESETS[PRESET]
        votes = knn_scores(
            bank,
            self.bank.labels.to(self.device),
            scored,
            k=min(k, len(bank)),
            temperature=temperature,
            num_classes=self.num_classes,
        )
        return {"knn_top1": (votes.argmax(dim=1).cpu() == self.scored.labels).double().mean().item()}
