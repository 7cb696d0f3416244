"""`train --watch-features`: whether an encoder's features collapse, while it is trained.

They are the backbone's, which probes see, of some training images, two views each. Nothing is chosen by the numbers,
and the run ends with the weights that it would have without.

Shapes: N images, F features.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ...data import ImageStore
from ...encoder import Encoder
from ...errors import RunStopped
from ...randomness import Key
from ...runs.metrics import MetricsLog
from ...runtime.distributed import broadcast_state, sum_over_processes
from ...views import Augmentation, multi_view, normalize, to_float
from ..alignment import alignment, uniformity
from ..features import own_batches
from ..samples import random_part
from ..spread import feature_spread, rankme

log = logging.getLogger(__name__)

NUM_IMAGES = 1000
"""The most training images that are measured. Ours: seconds on a CPU, and more than the 512 features of a resnet18."""
COLLAPSED_SPREAD, COLLAPSED_RANK = 0.05, 1.5
"""Below either of them features count as collapsed. Ours, not measured: features that are all alike have 0 and 1."""


class FeatureMonitor:
    """RankMe, alignment, uniformity and spread of an encoder in training.

    The images and their views are drawn once, by the seed: the same each time and for any number of processes.

    Args:
        train: the training images.
        views: the name of the augmentation's preset, as for the training.
        view_size: pixels a side of the views, likewise.
        seed: of the run.
        device: where features are computed.
        precision: `bf16` for autocast.
    """

    def __init__(
        self, train: ImageStore, views: str, view_size: int, seed: int, device: torch.device, precision: str
    ) -> None:
        self.key = Key.from_seed(seed).child("evaluation", "features")
        self.store = random_part(train, NUM_IMAGES, self.key.child("images"))
        self.augmentation = Augmentation(views, view_size)
        self.device, self.precision = device, precision

    def __call__(self, encoder: Encoder) -> dict[str, float]:
        """`rankme`, `alignment`, `uniformity` and `feature_spread`: the same in every process.

        RankMe is of the features as they are; the others are of unit length. Alignment is over both views of an image,
        the others over the first.

        Args:
            encoder: a copy of what is trained; the main process's is taken everywhere.

        Raises:
            RunStopped: features that are no numbers, in all processes alike.
        """
        broadcast_state(encoder)
        first, second = self._features(encoder).unbind(1)
        return {
            "rankme": rankme(first),
            "alignment": alignment(first, second),
            "uniformity": uniformity(first),
            "feature_spread": feature_spread(first),
        }

    @torch.inference_mode()
    def _features(self, encoder: Encoder) -> Tensor:
        """(N, 2, F) float32, of which each process computes a share."""
        features = torch.zeros(len(self.store), 2, encoder.num_features, device=self.device)
        for rows in own_batches(len(self.store)):
            numbers = torch.from_numpy(rows).to(self.device)
            images = to_float(self.store.read(rows).to(self.device))
            views = normalize(multi_view(images, numbers, 2, self.augmentation, self.key.child("views")))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                seen = encoder.backbone(views.contiguous(memory_format=torch.channels_last))
            features[numbers] = seen.float().unflatten(0, (-1, 2))
        features = sum_over_processes(features)
        if not torch.isfinite(features).all():
            raise RunStopped("the encoder gives features that are not finite: it diverged")
        return features


def has_collapsed(row: dict[str, float]) -> bool:
    """Whether a row with these measures tells of features that are all alike, or lie on one line."""
    return row["feature_spread"] < COLLAPSED_SPREAD or row["rankme"] < COLLAPSED_RANK


class CollapseWatch:
    """Looks at the rows that a run logs, and says once that the features have collapsed.

    It is a `RowLog` of the loop that writes no file. What it knows follows from the run's metrics, so that a resumed
    run says no more than the uninterrupted one.
    """

    def __init__(self, metrics: MetricsLog) -> None:
        self.metrics = metrics
        self.found = False

    def rewind(self, steps: int) -> None:
        """Know what the rows of the first `steps` steps say."""
        self.found = any(
            has_collapsed(row) for row in self.metrics.read() if row["step"] <= steps and "feature_spread" in row
        )

    def append(self, row: dict[str, float]) -> None:
        """See a row, and speak if it is the first that tells of a collapse."""
        if self.found or "feature_spread" not in row or not has_collapsed(row):
            return
        self.found = True
        log.warning(
            "step %d: the encoder's features have collapsed: their spread is %.3g (1 is even, 0 all alike) and their "
            "effective rank %.3g. A smaller --learning-rate, or another --learner, may help",
            row["step"], row["feature_spread"], row["rankme"],
        )  # fmt: skip

    def commit(self, steps: int) -> None:
        """There is nothing to write."""
