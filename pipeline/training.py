"""Contrastive training: one step and its construction, the same for every regime.

Shapes: B real images and M synthetic samples a step over all processes, N views in this process.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..learners import Learner, LearnerOutput, convert_sync_batchnorm, create_backbone, create_learner
from ..learners.base import SyntheticTerms
from ..learners.optimizers import create_optimizer
from ..learners.recipe import OptimizerRecipe
from ..learners.registry import learner_uses_labels
from .configs.train import TrainConfig, concerns
from .data import ImageStore, cached, open_images
from .distributed import create_accelerator, precision_of
from .encoder import Encoder
from .errors import UsageError
from .evaluation.online import OnlineKnn
from .evaluation.online_features import CollapseWatch, OnlineFeatures
from .evaluation.online_quality import OnlineQuality, open_real_encoder
from .images.grids import Section, save_sections
from .options import takes_options
from .precision import generator_precision
from .preview import real_section, save_real_images
from .randomness import Key
from .regimes.assembly import RealImages, ViewMaker
from .regimes.base import MultiViewedBatch, Regime, Share
from .regimes.guard import GuardNotice
from .regimes.setup import RegimeSetup, build_regime
from .regimes.table import REGIMES
from .runs.checkpoint import Stateful
from .runs.folder import RunFolder, finished_result, open_run, say_finished
from .runs.loop import LoopOptions, Measurement, run_loop
from .runs.trackers import Tracker, check_trackers, open_trackers
from .views import Augmentation
from .views.adversarial import AdversarialViews
from .views.presets import default_preset

log = logging.getLogger(__name__)

WARMUP_PART = 0.1
"""The most of a training that warm-up takes, so that short runs learn too. Ours."""
GUARD_LOOKS = 20
"""How often in a training the guard measures the generator, unless --guard-every says it. Ours."""
WATCH = ("loss", "hardness_synthetic", "pair_similarity", "margin", "knn_top1")


@dataclass
class Schedule:
    """Learning rate by step: linear warm-up, then a half cosine to zero (Loshchilov & Hutter 2017, 1608.03983, eq. 5).

    Attributes:
        peak: the learning rate after warm-up.
        warmup_steps, total_steps: lengths.
    """

    peak: float
    warmup_steps: int
    total_steps: int

    def at(self, step: int) -> float:
        """The learning rate of step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        over = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return self.peak * 0.5 * (1 + math.cos(math.pi * over))


class TrainingStep:
    """One step: batch, loss, backward, update, and what the regime makes of it."""

    def __init__(
        self,
        accelerator: Accelerator,
        learner: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        regime: Regime,
        adversary: AdversarialViews | None = None,
    ) -> None:
        self.accelerator, self.learner, self.optimizer = accelerator, learner, optimizer
        self.schedule, self.regime, self.adversary = schedule, regime, adversary
        self.inner: Learner = accelerator.unwrap_model(learner, keep_torch_compile=False)

    @property
    def parts(self) -> dict[str, Stateful]:
        """Everything that a step depends on besides its number."""
        parts: dict[str, Stateful] = {"learner": self.inner, "optimizer": self.optimizer, "regime": self.regime}
        if self.accelerator.scaler is not None:
            # The scale of the loss in fp16 follows from the steps before.
            parts["scaler"] = self.accelerator.scaler
        return parts

    def __call__(self, step: int) -> dict[str, Tensor | float]:
        learning_rate = self.schedule.at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        batch = self.regime.batch(step, self.inner)
        views = batch.views.contiguous(memory_format=torch.channels_last)
        if self.adversary is None:
            output = self._passes(batch, views)
            losses = {"loss": output.loss.detach()}
        else:
            output, losses = self._adversarial_passes(self.adversary, views, batch)
        scaler = self.accelerator.scaler
        loss_scale = scaler.get_scale() if scaler is not None else 1.0
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.inner.after_step((step + 1) / self.schedule.total_steps)
        with self.accelerator.autocast():
            metrics = self.regime.feedback(step, batch, output, self.inner, loss_scale=loss_scale)
        return {**losses, "learning_rate": learning_rate, **metrics}

    def _passes(self, batch: MultiViewedBatch, views: Tensor, weight: float = 1.0) -> LearnerOutput:
        """One forward and one backward pass of views of a batch, whose gradient adds to what is there."""
        with self.accelerator.autocast():
            output = batch.ask(self.learner, views)
        self.accelerator.backward(weight * output.loss)
        return output

    def _adversarial_passes(
        self, adversary: AdversarialViews, views: Tensor, batch: MultiViewedBatch
    ) -> tuple[LearnerOutput, dict[str, Tensor]]:
        """Those of the clean views, and those of the real ones among them, moved against the learner."""
        watched = adversary.watch(views)
        # Processes exchange their gradients once, of both.
        with self.accelerator.no_sync(self.learner):
            output = self._passes(batch, watched)
        real = slice(batch.num_real)
        assert watched.grad is not None  # the pass above has given it
        moved = adversary(watched[real], watched.grad[real]).contiguous(memory_format=torch.channels_last)
        with self.inner.extra_pass():
            adversarial = self._passes(batch.real_part(), moved, adversary.weight)
        losses = {"loss": output.loss.detach(), "loss_adversarial": adversarial.loss.detach()}
        return output, losses


@takes_options(TrainConfig)
def train(config: TrainConfig) -> dict[str, Any]:
    """Train an encoder in the regime that the options name, or take up its training; see `synthcl train`.

    Returns:
        The run's result: `run`, `regime`, `learner`, `backbone`, `steps`, `epochs`, `loss`, `seconds`,
        `images_per_second`, `num_images`, for synthetic regimes `num_synthetic`, how many samples were drawn, what the
        regime adds (see `Regime.facts`), and where the length was changed what `runs.length.length_facts` gives.

    Raises:
        UsageError: options that cannot be used, or fewer steps than the run has done.
    """
    check_trackers(config.tracker)
    if (finished := finished_result(config.out, "train", config)) is not None:
        return finished
    accelerator = create_accelerator(config.precision)
    key = Key.from_seed(config.seed)
    # Images are decoded when the first is read: after everything has been checked.
    opened = open_images(config.data, image_size=config.image_size, split="train", data_root=config.data_root)
    store = cached(opened, config.cache, accelerator.device)
    share = Share(config.batch_size, accelerator.process_index, accelerator.num_processes)
    share.check_parts(config.accumulate)
    real = RealImages.create(store, share, key, accelerator.device, with_labels=check_labels(config, store))
    steps = config.total_steps(real.steps_per_epoch)
    torch.manual_seed(config.seed)
    learner = build_learner(config, store.image_size)
    setup = RegimeSetup(
        config=config,
        real=real,
        views=view_maker(config, store, key),
        key=key,
        accelerator=accelerator,
        total_steps=steps,
    )
    regime = build_regime(setup)
    knn = online_knn(config, store, accelerator)
    quality = online_quality(config, store, accelerator)

    def schedule(total_steps: int) -> Schedule:
        return make_schedule(config, learner, real.steps_per_epoch, total_steps)

    run = open_run(
        config.out,
        "train",
        config,
        main_process=accelerator.is_main_process,
        steps=steps,
        rate=lambda total_steps, step: schedule(total_steps).at(step),
        came_to=precisions(config, accelerator),
    )
    accelerator.wait_for_everyone()
    if run.result is not None:
        say_finished(run.path)
        return run.result
    step = _prepare(config, accelerator, learner, regime, schedule(steps))

    def encoder() -> Encoder:
        return Encoder(step.inner.backbone, config.backbone, store.image_size)

    def measure_generator() -> dict[str, float]:
        assert (
            quality is not None and regime.trained_generator is not None
        )  # only a regime with a generator is measured
        numbers = quality(regime.trained_generator, store)
        regime.measured(numbers)
        return numbers

    measurements = []
    if config.eval_every is not None and knn is not None:
        measurements.append(Measurement(config.eval_every, lambda: knn(encoder())))
    if config.watch_features is not None:
        features = online_features(config, store, accelerator)
        measurements.append(Measurement(config.watch_features, lambda: features(encoder())))
    if quality is not None:
        measurements.append(Measurement(config.guard_every or max(1, steps // GUARD_LOOKS), measure_generator))

    with (
        real.reading_ahead(steps),
        regime.open(),
        open_trackers(config.tracker, run, config, main_process=accelerator.is_main_process) as trackers,
    ):
        seconds = run_loop(
            run,
            step.parts,
            step,
            _loop_options(config, accelerator, steps),
            journals=regime.journals,
            every={config.sample_every: lambda done: save_snapshot(regime, run, done, store, trackers)},
            row_logs=[*trackers, GuardNotice(log.warning), CollapseWatch(run.metrics)],
            measurements=measurements,
        )
        result = _result(config, run, regime, real, steps, seconds)
        if accelerator.is_main_process:
            encoder().save(run.path / "encoder")
            regime.save(run.path)
            run.finish(result)
    accelerator.wait_for_everyone()
    return result


def precisions(config: TrainConfig, accelerator: Accelerator) -> dict[str, str]:
    """What --precision comes to here, and --generator-precision where there is a generator.

    Raises:
        UsageError: as `generator_precision`.
    """
    found = {"precision": precision_of(accelerator)}
    if concerns(TrainConfig.__dataclass_fields__["generator_precision"], [config.regime]):
        trained = REGIMES[config.regime].learns
        found["generator_precision"] = generator_precision(
            config.generator_precision, accelerator.device, trained=trained
        )
    return found


def _loop_options(config: TrainConfig, accelerator: Accelerator, steps: int) -> LoopOptions:
    return LoopOptions(
        label=f"train {config.regime}",
        total_steps=steps,
        images_per_step=config.batch_size,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        keep=config.keep,
        device=accelerator.device,
        watch=WATCH,
        main_process=accelerator.is_main_process,
    )


def online_knn(config: TrainConfig, store: ImageStore, accelerator: Accelerator) -> OnlineKnn | None:
    """What --eval-every measures; None without it.

    Raises:
        UsageError: the images have no labels, or no test split.
    """
    if config.eval_every is None:
        return None
    precision = "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
    return OnlineKnn.open(
        store,
        config.data,
        config.seed,
        accelerator.device,
        precision,
        cache=config.cache,
        data_root=config.data_root,
    )


def online_features(config: TrainConfig, store: ImageStore, accelerator: Accelerator) -> OnlineFeatures:
    """What --watch-features measures, of the training images in views as the training makes them."""
    precision = "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
    return OnlineFeatures(store, views_preset(config, store), config.seed, accelerator.device, precision)


def online_quality(config: TrainConfig, store: ImageStore, accelerator: Accelerator) -> OnlineQuality | None:
    """What --eval-encoder measures the generator with, in joint training; None without it.

    Raises:
        UsageError: an encoder that has seen other than real training images, or too few images.
    """
    if config.eval_encoder is None:
        return None
    encoder = open_real_encoder(config.eval_encoder)
    return OnlineQuality(encoder, len(store), config.eval_samples, config.seed, accelerator.device)


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


def check_labels(config: TrainConfig, store: ImageStore) -> bool:
    """Whether the learner takes the images' labels.

    Raises:
        UsageError: it does, and they have none; or it does not, and the options are about them.
    """
    wanted = learner_uses_labels(config.learner)
    if wanted and store.labels is None:
        raise UsageError(
            f"--learner {config.learner} learns from labels, and {config.data} has none; give images with labels, or "
            "another learner"
        )
    if config.synthetic_classes and not wanted:
        raise UsageError(
            f"--synthetic-classes is for a learner that takes labels, such as supcon; {config.learner} does not"
        )
    return wanted


def build_learner(config: TrainConfig, image_size: int) -> Learner:
    """The backbone and the learner that the options name, with fresh weights from torch's global generator.

    Raises:
        UsageError: an unknown backbone, or an option that the learner does not have.
    """
    options = {
        "temperature": config.temperature,
        "queue_size": config.queue_size,
        "synthetic_negatives": None if config.synthetic_negatives else False,
    }
    try:
        backbone = create_backbone(config.backbone, image_size=image_size)
        return create_learner(
            config.learner,
            backbone,
            num_parts=config.accumulate,
            synthetic=SyntheticTerms(
                weight=config.synthetic_weight,
                loss=config.synthetic_loss,
                own_statistics=config.separate_batchnorm,
            ),
            **{name: value for name, value in options.items() if value is not None},
            **config.learner_option,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def view_maker(config: TrainConfig, store: ImageStore, key: Key) -> ViewMaker:
    """The views that the options name."""
    return ViewMaker(Augmentation(views_preset(config, store), store.image_size), key, config.views_per_image)


def views_preset(config: TrainConfig, store: ImageStore) -> str:
    """The name of the augmentation that the options name."""
    return config.views or default_preset(config.learner, store.image_size, source=config.data)


def optimizer_recipe(config: TrainConfig, learner: Learner) -> OptimizerRecipe:
    """The learner's recipe, or that of another optimizer, with the numbers that the options give."""
    given: dict[str, Any] = {
        "base_learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "decay_norms": config.decay_norms,
    }
    recipe = learner.recipe.with_optimizer(config.optimizer)
    return dataclasses.replace(recipe, **{name: value for name, value in given.items() if value is not None})


def make_schedule(config: TrainConfig, learner: Learner, steps_per_epoch: int, total_steps: int) -> Schedule:
    """The learning rate of a training of `total_steps` by these options."""
    peak = optimizer_recipe(config, learner).learning_rate(config.batch_size)
    return Schedule(peak, int(min(config.warmup_epochs * steps_per_epoch, WARMUP_PART * total_steps)), total_steps)


def _prepare(
    config: TrainConfig, accelerator: Accelerator, learner: Learner, regime: Regime, schedule: Schedule
) -> TrainingStep:
    recipe = optimizer_recipe(config, learner)
    module: nn.Module = learner
    if accelerator.num_processes > 1 and config.sync_batchnorm:
        module = convert_sync_batchnorm(module, accelerator.device)
    module = module.to(accelerator.device).to(memory_format=torch.channels_last)
    optimizer = create_optimizer(module, recipe)
    prepared, optimizer = accelerator.prepare(torch.compile(module) if config.compile else module, optimizer)
    adversary = AdversarialViews(config.adversarial) if config.adversarial is not None else None
    return TrainingStep(accelerator, prepared, optimizer, schedule, regime, adversary)


def _result(
    config: TrainConfig, run: RunFolder, regime: Regime, real: RealImages, steps: int, seconds: float
) -> dict[str, Any]:
    result = {
        "run": str(run.path),
        "regime": config.regime,
        "learner": config.learner,
        "backbone": config.backbone,
        "steps": steps,
        "epochs": round(steps / real.steps_per_epoch, 3),
        "loss": run.metrics.read()[-1]["loss"],
        "seconds": round(seconds, 2),
        "images_per_second": round(steps * config.batch_size / seconds, 1),
        "num_images": len(real.store),
        "num_synthetic": steps * regime.samples_per_step,
        **({"uses_labels": True} if real.with_labels else {}),
        **regime.facts,
        **run.length_facts,
    }
    return result
