"""Pretraining of a generator on real images, to start joint training from or to generate shards with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ...generators import GeneratorTrainer, create_trainer
from ...generators.fingerprint import fingerprint
from ...generators.schedules import final_decay, part_done
from ..configs.pretrain import PretrainConfig
from ..data import ImageStore, cached, open_images
from ..errors import UsageError
from ..evaluation.checkerboard import checkerboard_warning
from ..evaluation.monitors.quality import MEASURES, QualityMonitor, open_real_encoder
from ..generation.opening import in_flags, save_generator
from ..generation.preview import real_section, save_real_images
from ..hub.pushing import check_push
from ..images.grids import Section, save_sections
from ..options.config import takes_options
from ..progress.line import is_main_process
from ..randomness import Key
from ..regimes.assembly import RealImages
from ..regimes.base import Share
from ..runs.agreement import made_by_main
from ..runs.folder import RunFolder
from ..runs.loop import Measurement, run_loop
from ..runs.opening import Terms, carry_out, finished_result
from ..runs.saving import writing_to
from ..runs.trackers import Tracker, check_trackers, open_trackers
from ..runtime.distributed import average_gradients, create_accelerator, is_alone, loss_of_a_process
from ..runtime.precision import generator_precision
from ..runtime.srun import join_step
from .build import loop_options
from .discriminator_watch import DiscriminatorWatch
from .push import push_generator

log = logging.getLogger(__name__)

GRID_SAMPLES = 64
"""Samples in a grid: 8 x 8. Ours."""
WATCH = ("loss_discriminator", "loss_generator", "margin", "loss", "frechet_distance", "recall")
ADVICE = "Try lower learning rates (--learning-rate), a smaller --gamma, or a larger --discriminator-preset"


@takes_options(PretrainConfig)
def pretrain(config: PretrainConfig) -> dict[str, Any]:
    """Train a generator, or take up its training, and push it where that is asked for; see `synthcl pretrain`.

    Returns:
        The run's result: `run`, `generator`, `steps`, `seconds`, `image_size`, `num_images`, `training`, what the
        generator was trained with, `generator_precision`, what it computed in, `generator_hash`, its weights', and
        where the length was changed what `runs.length.length_facts` gives. With an encoder to measure by also
        `frechet_distance`, `precision`, `recall`, `frechet_distance_real`, `checkerboard`, `checkerboard_real` (see
        `QualityMonitor`), `eval_encoder` and `eval_encoder_hash`. With --push also `push`, what `Repository.push`
        returns, in the main process.

    Raises:
        UsageError: options that cannot be used, or fewer steps than the run has done.
        DataError: the hub has no token here, refuses, or cannot be reached. The run is finished where training was, and
            the same command pushes it.
    """
    join_step()
    if config.push is not None:
        check_push(config.push)  # and not after hours of training
    result = _train(config)
    if config.push is not None and is_main_process():
        pushed = push_generator(Path(config.out), config.push, private=config.private, licence=config.license)
        result = {**result, "push": pushed}
    return result


def _train(config: PretrainConfig) -> dict[str, Any]:
    """`pretrain` without the push."""
    check_trackers(config.tracker)
    # One process need not find others first. Of several none may end, or go on, by what it alone sees.
    if is_alone() and (finished := finished_result(config.out, "pretrain", config)) is not None:
        return finished
    if config.bf16:
        log.warning("--bf16 is now --generator-precision bf16, and will be gone in a later version")
    accelerator = create_accelerator("fp32")
    with loss_of_a_process():
        return carry_out(config.out, "pretrain", config, accelerator, lambda: _build(config, accelerator))


@dataclass(frozen=True)
class _Pretraining:
    """What a pretraining is made of: all that can be refused has been, and no folder has been touched.

    Attributes:
        config: its options.
        accelerator: of this process.
        real: its images.
        trainer: of the generator.
        quality: measures samples between steps; None without --eval-encoder.
        key: what latents are drawn from.
    """

    config: PretrainConfig
    accelerator: Accelerator
    real: RealImages
    trainer: GeneratorTrainer
    quality: QualityMonitor | None
    key: Key

    @property
    def terms(self) -> Terms:
        trainer = self.trainer
        came_to = {"generator_precision": trainer.generator.computes_in}
        return Terms(
            steps=self.config.steps,
            rate=lambda total_steps, index: _learning_rate(trainer.options, total_steps, index),
            came_to=came_to | ({"preset": trainer.preset} if trainer.preset else {}),
            made_of={"data": self.real.store.described()},
        )

    def complete(self, run: RunFolder) -> dict[str, Any]:
        """Train to the end, and the result."""
        config, main_process = self.config, self.accelerator.is_main_process
        if main_process:
            (run.path / "samples").mkdir(exist_ok=True)
            save_real_images(self.real.store, run.path)
        with (
            self.real.reading_ahead(config.steps),
            open_trackers(config.tracker, run, config, main_process=main_process) as trackers,
        ):
            seconds = run_loop(
                run,
                {"trainer": self.trainer},
                self._step,
                loop_options(config, self.accelerator, "pretrain", config.steps, WATCH),
                row_logs=[*trackers, DiscriminatorWatch(run.metrics, ADVICE)],
                every={config.sample_every: lambda done: self._picture(run, done, trackers)},
                measurements=self._measurements(),
            )
        # The last row of the metrics is surely there for the process alone that writes it.
        return made_by_main(lambda: self._finish(run, seconds), main_process=main_process)

    def _step(self, index: int) -> dict[str, Tensor]:
        real = self.real.images(index) * 2 - 1
        return self.trainer.step(real, self.key.child(index).at(self.real.share.numbers(self.accelerator.device)))

    def _measurements(self) -> list[Measurement]:
        quality, config = self.quality, self.config
        if quality is None:
            return []
        return [Measurement(config.eval_every or config.steps, lambda: quality(self.trainer.ema, self.real.store))]

    def _picture(self, run: RunFolder, done: int, trackers: Sequence[Tracker]) -> None:
        path = run.path / "samples" / f"{done:08d}.png"
        real = real_section(save_real_images(self.real.store, run.path))
        generated = Section(_samples(self.trainer, self.key), "generated images")
        save_sections([*real, generated], path, title=f"step {done:,}: samples of the moving average")
        for tracker in trackers:
            tracker.append_picture(done, path)

    def _finish(self, run: RunFolder, seconds: float) -> dict[str, Any]:
        """Save the generator, and the result."""
        result = _result(self.config, run, self.trainer, self.real.store, self.quality, seconds)
        with writing_to(run.path):
            save_generator(self.trainer, run.path)
            run.finish(result)
        return result


def _build(config: PretrainConfig, accelerator: Accelerator) -> _Pretraining:
    """The pretraining that the options name.

    Raises:
        UsageError, DataError: as `pretrain`.
    """
    precision = generator_precision(config.generator_precision, accelerator.device, trained=True)
    # Images are decoded when the first is read: after everything has been checked.
    opened = open_images(config.data, image_size=config.image_size, split="train", data_root=config.data_root)
    store = cached(opened, config.cache, accelerator.device)
    share = Share(config.batch_size, accelerator.process_index, accelerator.num_processes)
    key = Key.from_seed(config.seed)
    real = RealImages.create(store, share, key, accelerator.device)
    torch.manual_seed(config.seed)
    trainer = _create_trainer(config, store.image_size, accelerator.device, precision)
    quality = _open_quality(config, store, accelerator.device)
    return _Pretraining(config, accelerator, real, trainer, quality, key.child("pretrain"))


def _open_quality(config: PretrainConfig, store: ImageStore, device: torch.device) -> QualityMonitor | None:
    """What --eval-encoder measures; None without it."""
    if config.eval_encoder is None:
        return None
    encoder = open_real_encoder(config.eval_encoder, store.image_size)
    return QualityMonitor(encoder, len(store), config.eval_samples, config.seed, device)


def _learning_rate(options: dict[str, Any], total_steps: int, index: int) -> float:
    """The generator's learning rate at step `index`, counted from 0, by a trainer's options."""
    rate = options.get("generator_learning_rate") or options["learning_rate"]
    warmup = min(1.0, (index + 1) / max(options.get("warmup_steps") or 0, 1))
    return rate * warmup * final_decay(part_done(index, total_steps), options["decay"])


def _create_trainer(config: PretrainConfig, image_size: int, device: torch.device, precision: str) -> GeneratorTrainer:
    given = {
        "learning_rate": config.learning_rate,
        "generator_learning_rate": config.generator_learning_rate,
        "discriminator_learning_rate": config.discriminator_learning_rate,
        "decay": config.decay,
        "ema_decay": config.ema_decay,
        "discriminator_preset": config.discriminator_preset,
        "gamma": config.gamma,
        "final_gamma": config.final_gamma,
        "penalty_every": config.penalty_every,
        "beta1": config.beta1,
        "beta2": config.beta2,
        "final_beta2": config.final_beta2,
        "augment": config.augment,
        "flip": config.flip or None,
    }
    # Given only where asked for: what is not is the preset's, and kinds that do not take one say so.
    options = {name: value for name, value in given.items() if value is not None} | config.sampling_options()
    # Always given, since every kind takes them.
    options |= {"precision": precision, "total_steps": config.steps}
    options |= {"device": device, "synchronise": average_gradients}
    try:
        return create_trainer(config.generator, image_size, preset=config.preset, **options)
    except ValueError as error:  # all that it is made from are options
        raise UsageError(in_flags(error)) from None


def _result(
    config: PretrainConfig,
    run: RunFolder,
    trainer: GeneratorTrainer,
    store: ImageStore,
    quality: QualityMonitor | None,
    seconds: float,
) -> dict[str, Any]:
    result = {
        "run": str(run.path),
        "generator": config.generator,
        "steps": config.steps,
        "seconds": round(seconds, 2),
        "image_size": store.image_size,
        "num_images": len(store),
        "preset": trainer.preset,
        "training": trainer.options,
        "generator_precision": trainer.generator.computes_in,
        "generator_hash": fingerprint(trainer.ema),
        **run.length_facts,
    }
    if quality is not None:
        last = run.metrics.read()[-1]
        result |= {name: last[name] for name in MEASURES if name in last}
        boards = [result[name] for name in ("checkerboard", "checkerboard_real") if name in result]
        if boards and (sentence := checkerboard_warning(*boards)):  # a run of an earlier version may have none
            log.warning(sentence)
        result |= {"eval_encoder": config.eval_encoder, "eval_encoder_hash": quality.encoder.weights_hash()}
    return result


def _samples(trainer: GeneratorTrainer, key: Key) -> Tensor:
    """(64, 3, S, S) in [-1, 1], of the same latents each time, so that pictures show how samples change."""
    device = next(trainer.ema.parameters()).device
    draws = key.child("grid").at(torch.arange(GRID_SAMPLES, device=device))
    with torch.no_grad():
        return trainer.ema(trainer.ema.sample_latents(GRID_SAMPLES, draws=draws))
