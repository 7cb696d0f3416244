"""Short real trainings and evaluations in a folder of their own, which say what the long ones of a comparison take.

Shapes: P images tried, F features, C classes.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from ..configs.arms import Arm, needs_set
from ..configs.compare import CompareConfig
from ..configs.train import TrainConfig
from ..data.parts import PartStore
from ..encoder import Encoder
from ..evaluation.features import choose_device, extract_features
from ..evaluation.knn import knn_scores
from ..evaluation.linear import FEW_SAMPLES, NUM_FOLDS, choose_l2, fit_logistic
from ..evaluation.task import open_labeled
from ..generation.generate import generate
from ..progress.line import Progress, watched_by
from ..randomness import Key
from ..training.train import train
from ..training.watching import GUARD_LOOKS
from .plan import generation, latents_per_step, make_budget, train_config

FIRST_STEPS = 3
"""Steps of the first try of an arm, which says how many there is time for. Ours."""
MOST_STEPS = 50
"""The most steps of a try. Ours: the median of so many is steady."""
CYCLE = 4
"""Steps that are averaged before the median is taken: presets of GANs have penalties on one step in four, which
the median of single steps would leave out. Ours."""
WARM_UP = 8
"""Images that an encoder is given, or a generator makes, before it is timed. Ours."""
MOST_IMAGES, LEAST_IMAGES = 1000, 64
"""That an evaluation is tried on. Ours."""


@dataclass(frozen=True)
class ArmTrial:
    """What a training of an arm takes.

    Attributes:
        steps: tried.
        seconds_per_step: of them, see `usual_step`.
        seconds_around: what it takes to begin, to end, and to save.
        seconds_per_look: of a measurement on the way (--eval-every, --eval-encoder).
        checkpoint_bytes: of one checkpoint.
        fixed_bytes: of what does not grow with the steps: encoder, generator, pictures, records.
        bytes_per_row: of metrics.jsonl.
        bytes_per_step: of a recording.
        path: the run.
    """

    steps: int
    seconds_per_step: float
    seconds_around: float
    seconds_per_look: float
    checkpoint_bytes: int
    fixed_bytes: int
    bytes_per_row: float
    bytes_per_step: float
    path: Path

    def seconds(self, options: TrainConfig, steps: int) -> float:
        """A training of so many steps."""
        looks = sum(steps // period for period in looks_of(options, steps))
        return self.seconds_around + steps * self.seconds_per_step + looks * self.seconds_per_look

    def bytes(self, options: TrainConfig, steps: int) -> float:
        """On disk, of a training of so many steps."""
        checkpoints = min(options.keep, max(1, -(-steps // options.checkpoint_every))) * self.checkpoint_bytes
        return checkpoints + self.fixed_bytes + steps * (self.bytes_per_row / options.log_every + self.bytes_per_step)


@dataclass(frozen=True)
class SetTrial:
    """What a generated set takes, a latent."""

    seconds: float
    bytes: float
    path: Path


@dataclass(frozen=True)
class EvaluationTrial:
    """What an evaluation takes.

    Attributes:
        seconds_per_image: to encode one.
        bytes_per_image: of its features, which are kept.
        fit_seconds: of one pass of the linear probe over an image.
        vote_seconds: of a test image's votes by one training image.
    """

    seconds_per_image: float
    bytes_per_image: int
    fit_seconds: float
    vote_seconds: float

    def linear_seconds(self, num_labeled: int) -> float:
        """The linear probe on so many images, which are encoded."""
        return self.fit_seconds * _passes(num_labeled) * num_labeled


class _StepTimes:
    """Notes when each step of a training was done, and shows nothing."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.times: list[float] = []
        self.rate = 0.0

    def begun(self, progress: Progress) -> None:
        if progress.label == self.label:
            self.times.append(time.monotonic())

    def advanced(self, progress: Progress) -> None:
        if progress.label == self.label:
            self.times.append(time.monotonic())

    def ended(self, progress: Progress) -> None:
        if progress.label == self.label:
            self.rate = progress.rate


def usual_step(seconds: Sequence[float]) -> float:
    """What a step takes, of the times of some in a row, at least one: the median of the means over `CYCLE` steps.

    So a step that something else held up does not count, and one that is slower each few steps does.
    """
    cycle = min(CYCLE, len(seconds))
    return median(np.convolve(seconds, np.full(cycle, 1 / cycle), mode="valid").tolist())


def looks_of(options: TrainConfig, steps: int) -> list[int]:
    """The steps between two measurements of a training, of each kind that there is."""
    periods = [options.eval_every] if options.eval_every is not None else []
    if options.eval_encoder is not None:
        periods.append(options.guard_every or max(1, steps // GUARD_LOOKS))
    return periods


def try_set(config: CompareConfig, home: Path) -> SetTrial:
    """Generate as many latents as a step draws."""
    budget = make_budget(config, 1, lambda _: 1, {arm.name: 1.0 for arm in config.arms()})
    wanted = generation(config, budget)
    assert wanted is not None, "called where a set is generated"
    readers = [latents_per_step(config, arm) for arm in config.arms() if needs_set(arm)]
    wanted.num_samples, wanted.out = max(readers), str(home / "shards")
    watch = _StepTimes("generate")
    with watched_by(watch):
        generate(dataclasses.replace(wanted, num_samples=WARM_UP, out=str(home / "warm-up")))
        result = generate(wanted)
    size = size_of(Path(wanted.out))
    return SetTrial(1 / watch.rate if watch.rate else 0.0, size / result["num_samples"], Path(wanted.out))


def try_arm(config: CompareConfig, arm: Arm, steps: int, home: Path, shards: Path | None) -> ArmTrial:
    """Train an arm for a few steps.

    Args:
        config: of the comparison.
        arm: which.
        steps: how many.
        home: where its run goes, and the recording of it or for it.
        shards: the set that it reads.
    """
    options = train_config(config, arm, config.seed, steps, runs=home, shards=shards)
    options.tracker = []
    # One measurement, at the end, which is timed by itself.
    options.eval_every = None if options.eval_every is None else steps
    options.guard_every = None if options.eval_encoder is None else steps
    path = Path(options.out)
    shutil.rmtree(path, ignore_errors=True)
    watch = _StepTimes(f"train {arm.regime}")
    begun = time.monotonic()
    with watched_by(watch):
        train(options)
    whole = time.monotonic() - begun
    took = np.diff(watch.times).tolist()
    # The first step is slower than the others, and the last one has the measurement.
    usual = usual_step(took[1:-1] or took)
    look = max(0.0, took[-1] - usual) if looks_of(options, steps) else 0.0
    recording = size_of(Path(options.record)) if options.record is not None else 0
    metrics = (path / "metrics.jsonl").stat().st_size
    checkpoints = [size_of(saved) for saved in (path / "checkpoints").iterdir()]
    return ArmTrial(
        steps=steps,
        seconds_per_step=usual,
        seconds_around=max(0.0, whole - steps * usual - look),
        seconds_per_look=look,
        checkpoint_bytes=max(checkpoints),
        fixed_bytes=size_of(path) - sum(checkpoints) - metrics,
        bytes_per_row=metrics / max(1, -(-steps // options.log_every)),
        bytes_per_step=recording / steps,
        path=path,
    )


def try_evaluation(config: CompareConfig, data: str, encoder: Encoder, seconds: float) -> EvaluationTrial:
    """Encode some images and fit the probes to them.

    Args:
        config: of the comparison.
        data: SPEC of the images to fit on.
        encoder: any of this backbone.
        seconds: about how long it may take.
    """
    device = choose_device()
    store, _, labels, _, classes = open_labeled(
        data, config.test_data, image_size=encoder.image_size, data_root=config.data_root
    )
    order = torch.randperm(len(store), generator=torch.Generator().manual_seed(0)).numpy()
    with watched_by(_StepTimes("")):
        extract_features(encoder, PartStore(store, order[:WARM_UP]), device=device)
        begun = time.monotonic()
        extract_features(encoder, PartStore(store, order[:LEAST_IMAGES]), device=device)
        per_image = (time.monotonic() - begun) / min(len(store), LEAST_IMAGES)
        part = order[: max(LEAST_IMAGES, min(MOST_IMAGES, int(seconds / 2 / max(per_image, 1e-9))))]
        begun = time.monotonic()
        features = extract_features(encoder, PartStore(store, part), device=device).to(device)
        per_image = (time.monotonic() - begun) / len(part)
    known = labels[torch.from_numpy(part)].to(device)
    begun = time.monotonic()
    l2 = choose_l2(features, known, num_classes=len(classes), key=Key.from_seed(0))
    fit_logistic(features, known, l2=l2, num_classes=len(classes))
    fitted = time.monotonic()
    knn_scores(features, known, features, k=min(20, len(part)), temperature=0.1, num_classes=len(classes))
    voted = time.monotonic()
    return EvaluationTrial(
        seconds_per_image=per_image,
        bytes_per_image=4 * features.shape[1],
        fit_seconds=(fitted - begun) / (_passes(len(part)) * len(part)),
        vote_seconds=(voted - fitted) / len(part) ** 2,
    )


def _passes(num_labeled: int) -> float:
    """How often the linear probe is fitted to all images that it is given: to choose its penalty, and at the end."""
    folds = NUM_FOLDS if num_labeled <= FEW_SAMPLES else 1
    return folds * (NUM_FOLDS - 1) / NUM_FOLDS + 1


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files: Sequence[Path] = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
