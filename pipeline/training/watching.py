"""What is measured and pictured while a training runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator

from ..configs.train import TrainConfig
from ..data import ImageStore
from ..encoder import Encoder
from ..evaluation.monitors.features import FeatureMonitor
from ..evaluation.monitors.knn import KnnMonitor
from ..evaluation.monitors.quality import QualityMonitor, open_real_encoder
from ..generation.preview import real_section, save_real_images
from ..images.grids import Section, save_sections
from ..regimes.base import Regime
from ..runs.folder import RunFolder
from ..runs.loop import Measurement
from ..runs.trackers import Tracker
from .build import view_size, views_preset

GUARD_LOOKS = 20
"""How often in a training the guard measures the generator, unless --guard-every says it. Ours."""


def measurements(
    config: TrainConfig,
    store: ImageStore,
    accelerator: Accelerator,
    regime: Regime,
    total_steps: int,
    encoder: Callable[[], Encoder],
) -> list[Measurement]:
    """What the options ask to measure between steps: neighbours, features, and the generator of joint training.

    Args:
        config: of the training.
        store: its images.
        accelerator: of this process.
        regime: that the training runs in.
        total_steps: how long it is.
        encoder: gives that of the training as it is now.

    Raises:
        UsageError: `--eval-every` on images without labels or a test split, or `--eval-encoder` with one that has seen
            other than real training images, or too few images.
    """
    precision = "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
    found = []
    if config.eval_every is not None:
        knn = KnnMonitor.open(
            store,
            config.data,
            config.seed,
            accelerator.device,
            precision,
            cache=config.cache,
            data_root=config.data_root,
        )
        found.append(Measurement(config.eval_every, lambda: knn(encoder())))
    if config.watch_features is not None:
        features = FeatureMonitor(
            store,
            views_preset(config, store),
            view_size(config, store.image_size),
            config.seed,
            accelerator.device,
            precision,
        )
        found.append(Measurement(config.watch_features, lambda: features(encoder())))
    if config.eval_encoder is not None:
        judge = open_real_encoder(config.eval_encoder, store.image_size)
        quality = QualityMonitor(judge, len(store), config.eval_samples, config.seed, accelerator.device)

        def measure_generator() -> dict[str, float]:
            assert regime.trained_generator is not None  # --eval-encoder is for regimes that have one
            numbers = quality(regime.trained_generator, store)
            return numbers | regime.measured(numbers)

        def begin() -> None:
            measure_generator()  # before hardness has moved it

        found.append(Measurement(config.guard_every or max(1, total_steps // GUARD_LOOKS), measure_generator, begin))
    return found


def save_snapshot(
    regime: Regime, run: RunFolder, done: int, store: ImageStore, trackers: Sequence[Tracker] = ()
) -> None:
    """A picture of pairs as the generator makes them after `done` steps, below real images: each image of G above the
    one of G_ema of the same latent. Trackers get it too. Nothing where no generator is trained.

    It says the step and not the folder, so that a run is the same byte for byte wherever it is done."""
    samples = regime.snapshot()
    if samples is None:
        return
    path = run.path / "samples" / f"{done:08d}.png"
    pairs = Section(torch.stack(samples, dim=1), "pairs of one latent: G above, G_ema below", stacked=True)
    real = real_section(save_real_images(store, run.path))
    save_sections([*real, pairs], path, title=f"step {done:,}")
    for tracker in trackers:
        tracker.append_picture(done, path)
