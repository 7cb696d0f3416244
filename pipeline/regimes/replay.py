"""What an online or fresh run drew, fed back in the recorded order: samples of joint training without it.

Shapes: m samples in this process, V images a sample, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from ...learners.base import Learner
from ..data.ahead import Ahead
from ..errors import UsageError
from ..runtime.readback import sent
from ..shards import ShardSet, open_shard_set
from ..views import to_float
from .assembly import RealImages, ViewMaker, assemble
from .base import MultiViewedBatch, Regime, Share
from .offline import check_image_size, check_recipe, set_facts
from .sample_labels import labels_of_sets
from .setup import RegimeSetup


class ReplayRegime(Regime):
    """Real images, and the samples that a recording holds for each step, with the views that they had.

    With the options of the recorded run, the learner takes the very steps that it took there.

    Args:
        real: the source of the real images.
        views: makes the views.
        recording: what was drawn.
        share: which of a step's samples are this process's.
        total_steps: of the training.
        labels: (samples,) int64, the label of each sample, on the host; unknown if not given.

    Raises:
        UsageError: the recording has another number of samples a step, or fewer steps than the training.
    """

    def __init__(
        self,
        real: RealImages,
        views: ViewMaker,
        recording: ShardSet,
        share: Share,
        total_steps: int,
        labels: Tensor | None = None,
    ) -> None:
        self.real, self.views, self.recording, self.share, self.labels = real, views, recording, share, labels
        self.samples_per_step = share.total
        _check_steps(recording, share.total, total_steps)
        self._total_steps = total_steps
        self._ahead = Ahead(self._read, real.device)

    def _read(self, step: int) -> Tensor:
        """(m, V, 3, S, S) uint8."""
        return self.recording.read_views(self._rows(step))

    def _rows(self, step: int) -> np.ndarray:
        """(m,) int64, the samples of a step."""
        first = step * self.share.total
        return np.arange(first + self.share.slice.start, first + self.share.slice.stop)

    @contextmanager
    def open(self) -> Iterator[None]:
        with self._ahead.open(self._total_steps):
            yield

    @property
    def facts(self) -> dict[str, Any]:
        return set_facts([self.recording])

    @property
    def made_of(self) -> dict[str, str]:
        # Not its size: a recording goes on where the run that it is of goes on, and what is there stays as it is.
        return {"replay": f"recipe {self.recording.recipe.hash[:16]}"}

    def batch(self, step: int, learner: Learner) -> MultiViewedBatch:
        samples: Tensor = to_float(self._ahead(step).to(self.real.device, non_blocking=True))
        labels = None if self.labels is None else sent(self.labels[self._rows(step)], self.real.device)
        return assemble(
            self.real, self.views, self.share, step, self.real.images(step), list(samples.unbind(1)), labels
        )


def _check_steps(recording: ShardSet, samples_per_step: int, total_steps: int) -> None:
    first = recording.table([0])
    if "step" not in first.column_names or first["step"][0].as_py() is None:
        raise UsageError(f"--replay {recording.path} is no recording of a training; use it with --shards")
    counts = np.bincount(recording.column("step"))
    if not (counts == samples_per_step).all():
        raise UsageError(
            f"--replay {recording.path} was recorded with {int(counts[0])} samples a step, not {samples_per_step}; "
            "give the recorded run's --batch-size and --synthetic-ratio"
        )
    if len(counts) < total_steps:
        raise UsageError(
            f"--replay {recording.path} holds {len(counts)} steps, fewer than the {total_steps} to train; "
            f"give --steps {len(counts)}"
        )


def build(setup: RegimeSetup) -> ReplayRegime:
    """See `build_regime`.

    Raises:
        UsageError: see `ReplayRegime`; a recording of another image size, or without the classes that are asked for.
    """
    recording = open_shard_set(setup.config.source)
    check_image_size("--replay", recording, setup.real.store.image_size)
    check_recipe("--replay", recording, setup.config)
    labels = None
    if setup.config.synthetic_classes:
        labels = labels_of_sets("--replay", [recording], setup.real.store)
    return ReplayRegime(setup.real, setup.views, recording, setup.synthetic_share(), setup.total_steps, labels)
