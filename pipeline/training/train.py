"""`synthcl train`: a training put together from its options, run to its end, and its result."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from ...learners import Learner
from ...learners.registry import learner_source
from ..configs.train import TrainConfig
from ..data import cached, open_images
from ..encoder import Encoder
from ..evaluation.monitors.features import CollapseWatch
from ..options.config import takes_options
from ..randomness import Key
from ..regimes.assembly import RealImages
from ..regimes.base import Regime, Share
from ..regimes.guard import GuardNotice
from ..regimes.joint_trainer import discriminator_augment
from ..regimes.setup import RegimeSetup, build_regime
from ..runs.agreement import made_by_main
from ..runs.folder import RunFolder
from ..runs.loop import Measurement, run_loop
from ..runs.opening import Terms, carry_out, finished_result
from ..runs.saving import writing_to
from ..runs.trackers import check_trackers, open_trackers
from ..runtime.distributed import create_accelerator, is_alone, loss_of_a_process
from ..runtime.srun import join_step
from .build import build_learner, check_labels, loop_options, make_schedule, precisions, prepare, view_maker, view_size
from .schedule import Schedule
from .watching import measurements, save_snapshot

log = logging.getLogger(__name__)

WATCH = ("loss", "hardness_synthetic", "pair_similarity", "margin", "knn_top1")


@takes_options(TrainConfig)
def train(config: TrainConfig) -> dict[str, Any]:
    """Train an encoder in the regime that the options name, or take up its training; see `synthcl train`.

    Returns:
        The run's result: `run`, `regime`, `learner`, `backbone`, `steps`, `epochs`, `loss`, `seconds`,
        `images_per_second`, `num_images`, `precision`, `encoder_hash`, for synthetic regimes `num_synthetic`, how many
        samples were drawn, what the regime adds (see `Regime.facts`), where the length was changed what
        `runs.length.length_facts` gives, and of a learner of the user's own `learner_code`, a hash of its source.

    Raises:
        UsageError: options that cannot be used, or fewer steps than the run has done.
        DataError: images or a folder that cannot be used, or another training is in the folder.
        RunStopped: what `run_loop` raises, or another process has ended.
    """
    join_step()
    check_trackers(config.tracker)
    # One process need not find others first. Of several none may end, or go on, by what it alone sees.
    if is_alone() and (finished := finished_result(config.out, "train", config)) is not None:
        return finished
    accelerator = create_accelerator(config.precision)
    with loss_of_a_process():
        return carry_out(config.out, "train", config, accelerator, lambda: _build(config, accelerator))


@dataclass(frozen=True)
class _Training:
    """What a training is made of: all that can be refused has been, and no folder has been touched.

    Attributes:
        config: its options.
        accelerator: of this process.
        real: its images.
        learner: trained in place.
        regime: where its batches come from.
        encoder: gives that of the training as it is now.
        measurements: made between steps.
        steps: how long it is.
        came_to: what options that may be `auto` came to.
        learner_code: a hash of the source of a learner of the user's own.
    """

    config: TrainConfig
    accelerator: Accelerator
    real: RealImages
    learner: Learner
    regime: Regime
    encoder: Callable[[], Encoder]
    measurements: Sequence[Measurement]
    steps: int
    came_to: dict[str, Any]
    learner_code: str | None

    def schedule(self, total_steps: int) -> Schedule:
        return make_schedule(self.config, self.learner, self.real.steps_per_epoch, total_steps)

    @property
    def terms(self) -> Terms:
        code = {} if self.learner_code is None else {"learner": f"code {self.learner_code}"}
        return Terms(
            steps=self.steps,
            rate=lambda total_steps, step: self.schedule(total_steps).at(step),
            came_to=self.came_to,
            made_of={"data": self.real.store.described()} | self.regime.made_of | code,
        )

    def complete(self, run: RunFolder) -> dict[str, Any]:
        """Train to the end, and the result."""
        config, regime, main_process = self.config, self.regime, self.accelerator.is_main_process
        step = prepare(config, self.accelerator, self.learner, regime, self.schedule(self.steps))
        with (
            self.real.reading_ahead(self.steps),
            regime.open(),
            open_trackers(config.tracker, run, config, main_process=main_process) as trackers,
        ):
            seconds = run_loop(
                run,
                step.parts,
                step,
                loop_options(config, self.accelerator, f"train {config.regime}", self.steps, WATCH),
                journals=regime.journals,
                every={config.sample_every: lambda done: save_snapshot(regime, run, done, self.real.store, trackers)},
                row_logs=[*trackers, GuardNotice(run.metrics, log.warning), CollapseWatch(run.metrics)],
                measurements=self.measurements,
            )
            # The last row of the metrics is surely there for the process alone that writes it.
            return made_by_main(lambda: self._finish(run, seconds), main_process=main_process)

    def _finish(self, run: RunFolder, seconds: float) -> dict[str, Any]:
        """Save what was trained, and the result."""
        trained = self.encoder()
        result = self._result(run, seconds)
        result |= {"precision": self.came_to["precision"], "encoder_hash": trained.weights_hash()}
        result |= {} if self.learner_code is None else {"learner_code": self.learner_code}
        with writing_to(run.path):
            trained.save(run.path / "encoder")
            self.regime.save(run.path)
            run.finish(result)
        return result

    def _result(self, run: RunFolder, seconds: float) -> dict[str, Any]:
        config, real, steps = self.config, self.real, self.steps
        return {
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
            "num_synthetic": steps * self.regime.samples_per_step,
            **({"uses_labels": True} if real.with_labels else {}),
            **self.regime.facts,
            **run.length_facts,
        }


def _build(config: TrainConfig, accelerator: Accelerator) -> _Training:
    """The training that the options name.

    Raises:
        UsageError, DataError: as `train`.
    """
    key = Key.from_seed(config.seed)
    # Images are decoded when the first is read: after everything has been checked.
    opened = open_images(config.data, image_size=config.image_size, split="train", data_root=config.data_root)
    store = cached(opened, config.cache, accelerator.device)
    share = Share(config.batch_size, accelerator.process_index, accelerator.num_processes)
    share.check_parts(config.accumulate)
    real = RealImages.create(store, share, key, accelerator.device, with_labels=check_labels(config, store))
    steps = config.total_steps(real.steps_per_epoch)
    torch.manual_seed(config.seed)
    size = view_size(config, store.image_size)
    learner = build_learner(config, size)
    views = view_maker(config, store, key)
    setup = RegimeSetup(config=config, real=real, views=views, key=key, accelerator=accelerator, total_steps=steps)
    came_to: dict[str, Any] = precisions(config, accelerator)
    if config.online:  # once, and before anything is built by it or records it
        came_to["discriminator_augment"] = discriminator_augment(setup)
        settled = dataclasses.replace(config, discriminator_augment=came_to["discriminator_augment"])
        setup = dataclasses.replace(setup, config=settled)
    if config.shards:
        came_to["shards_per_window"] = config.shards_per_window
    regime = build_regime(setup)

    def encoder() -> Encoder:
        return Encoder(learner.backbone, config.backbone, size)

    return _Training(
        config,
        accelerator,
        real,
        learner,
        regime,
        encoder,
        measurements(config, store, accelerator, regime, steps, encoder),
        steps,
        came_to,
        learner_source(config.learner),
    )
