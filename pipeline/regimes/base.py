"""What a regime is: where the images of a training batch come from. Everything else is the same code for all of them.

Shapes: B real images and M synthetic samples (latents) a step over all processes, b and m in this process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...generators import Generator
from ...learners.base import Learner, LearnerOutput, LocalViews
from ..errors import UsageError
from ..runs.loop import Journal
from ..runtime.distributed import slice_of
from .gradients import quantize


@dataclass(frozen=True)
class MultiViewedBatch:
    """A batch as the learner takes it: real views first, then synthetic ones.

    Attributes:
        views: (N, 3, H, W) normalised; views of a group adjacent, but for those of variations of real images.
        groups: (N,) int64, unique over all processes: real image i of the step is i in [0, B), latent j is B + j.
        num_real: how many of the N views are real.
        labels: (N,) int64, the class of what each view shows, below 0 where it is not known; None for a learner that
            takes none.
        local: the small views of multi-crop, likewise; None without them.
    """

    views: Tensor
    groups: Tensor
    num_real: int
    labels: Tensor | None = None
    local: LocalViews | None = None

    def ask(self, learner: Callable[..., LearnerOutput], views: Tensor | None = None) -> LearnerOutput:
        """What a learner makes of the batch, or of other views of the same images, (N, 3, H, W)."""
        given: dict[str, Any] = {} if self.labels is None else {"labels": self.labels}
        if self.local is not None:
            small = self.local.views.contiguous(memory_format=torch.channels_last)
            given["local"] = self.local._replace(views=small)
        return learner(self.views if views is None else views, self.groups, self.num_real, **given)

    def real_part(self) -> MultiViewedBatch:
        """The real views alone, without local ones."""
        real = slice(self.num_real)
        labels = None if self.labels is None else self.labels[real]
        return MultiViewedBatch(self.views[real], self.groups[real], self.num_real, labels)


class Regime(ABC):
    """Gives a batch for a step, and receives what the learner felt about it.

    Attributes:
        samples_per_step: synthetic samples a step over all processes, M.
    """

    samples_per_step: int = 0

    @abstractmethod
    def batch(self, step: int, learner: Learner) -> MultiViewedBatch:
        """This process's batch.

        Args:
            step: counted from 0.
            learner: as it stands before its update; for samples that are chosen by what it finds hard.
        """

    def feedback(
        self,
        step: int,
        batch: MultiViewedBatch,
        output: LearnerOutput,
        learner: Learner,
        *,
        loss_scale: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Called after the learner's step on the batch; returns scalars to log.

        A regime that trains a generator does so here.

        Args:
            step: counted from 0.
            batch: what `batch` gave for the step.
            output: what the learner made of it.
            learner: as it stands after its update.
            loss_scale: (), what the loss was multiplied by before the backward pass, and so what gradients at the
                images are to be divided by; None where it was not, which is in all but fp16.
        """
        return hardness_metrics(batch, output)

    @contextmanager
    def open(self) -> Iterator[None]:
        """What the regime holds open while it trains."""
        yield

    @property
    def journals(self) -> list[Journal]:
        """What this process writes along with the run."""
        return []

    @property
    def trained_generator(self) -> Generator | None:
        """The generator that is trained along, to be measured; None where there is none."""
        return None

    def measured(self, numbers: dict[str, float]) -> dict[str, float]:
        """Told what was measured of `trained_generator` (see `QualityMonitor`), the same numbers in every process:
        first as it is before any step, then now and then. Gives numbers to log beside them.

        What a regime makes of it belongs to its state.
        """
        return {}

    def snapshot(self) -> tuple[Tensor, Tensor] | None:
        """What the regime's generator makes now, to look at: samples of G and of its moving average for the same
        latents, (n, 3, S, S) in [-1, 1] each, the same latents each time; None where nothing is trained."""
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's result records of the regime, beside the options: plain values by name.

        `generator_hash` is the `fingerprint` of the generator that its samples are from, as it is opened to draw from
        and as it was before the training; it is absent where there is none, or several sets have several."""
        return {}

    @property
    def made_of(self) -> dict[str, str]:
        """What the contents of the regime's sources are told apart by, by the option that names them, before the
        training: a run is continued with the same alone."""
        return {}

    def save(self, folder: Path) -> None:
        """Leave what the regime has trained in the run's folder: nothing, unless something is trained."""

    def state_dict(self) -> dict[str, Any]:
        """What a step depends on besides its number: nothing, unless something is trained."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""


@dataclass(frozen=True)
class Share:
    """This process's part of the samples of a step."""

    total: int
    rank: int = 0
    num_processes: int = 1
    what: str = "--batch-size"

    @property
    def slice(self) -> slice:
        return slice_of(self.total, self.rank, self.num_processes, self.what)

    def check_parts(self, num_parts: int) -> None:
        """Raises UsageError unless this process's samples are a multiple of `num_parts`, the value of --accumulate."""
        count = self.slice.stop - self.slice.start
        if count % num_parts:
            each = "" if self.num_processes == 1 else f" in each of {self.num_processes} processes"
            raise UsageError(
                f"{self.what} ({self.total}) cannot be shared evenly by --accumulate {num_parts} parts{each}; give a "
                f"multiple of {num_parts * self.num_processes}"
            )

    def numbers(self, device: torch.device) -> Tensor:
        """(n,) int64: the numbers in [0, total) of this process's samples."""
        return torch.arange(self.slice.start, self.slice.stop, device=device)


def synthetic_share(batch_size: int, ratio: float, rank: int, num_processes: int) -> Share:
    """How many latents a step has, and which are this process's.

    Raises:
        UsageError: less than one, or no whole number for each process.
    """
    total = round(batch_size * ratio)
    if total < 1:
        raise UsageError(
            f"--synthetic-ratio {ratio} of --batch-size {batch_size} is less than one latent a step; raise either"
        )
    return Share(total, rank, num_processes, "--batch-size times --synthetic-ratio")


def hardness_metrics(batch: MultiViewedBatch, output: LearnerOutput) -> dict[str, Tensor]:
    """Mean hardness of real and of synthetic views."""
    metrics = {"hardness_real": output.hardness[: batch.num_real].mean()}
    if batch.num_real < len(batch.groups):
        metrics["hardness_synthetic"] = output.hardness[batch.num_real :].mean()
    return metrics


def unit_interval(images: Tensor) -> Tensor:
    """From [-1, 1], as generators speak, to [0, 1], as views take."""
    return images * 0.5 + 0.5


def resized(images: Tensor, size: int) -> Tensor:
    """Images (..., 3, H, W) at `size` pixels a side, bilinearly with antialiasing; differentiable."""
    if images.shape[-2:] == (size, size):
        return images
    flat = F.interpolate(images.flatten(0, -4), size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return flat.unflatten(0, images.shape[:-3])


def as_samples(images: Tensor, size: int) -> Tensor:
    """What the learner sees of a generator's images (m, 3, H, W) in [-1, 1]: (m, 3, S, S) in [0, 1], as 8 bits hold it.

    The gradient passes through the rounding as if there were none.
    """
    return quantize(unit_interval(resized(images, size)))


def generator_facts(generator: Generator, opened: str) -> dict[str, Any]:
    """What a run's result records of the generator that its samples are from.

    `generator_hash`, which is `opened`, its `fingerprint` as it is opened to draw from; `generator_precision`, what it
    computed in; and `generator_sampling`, how it drew, where one set of weights can draw in several ways.
    """
    facts = {"generator_hash": opened, "generator_precision": generator.computes_in}
    return facts if generator.sampling is None else facts | {"generator_sampling": generator.sampling}


def check_generator_size(generator: str, size: int, image_size: int, *, resizes: bool = False) -> None:
    """Raises UsageError if a generator makes images of another size than the training is at, unless it resizes them."""
    if size != image_size and not resizes:
        raise UsageError(
            f"--generator {generator} makes images of {size} pixels, and the training is at {image_size}; "
            f"give --image-size {size}, a generator of {image_size} pixels, or --resize-samples"
        )
