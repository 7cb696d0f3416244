"""`synthcl train`: a training put together from its options, run to its end, and its result."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import torch
from accelerate import Accelerator

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
from ..runs.loop import run_loop
from ..runs.opening import Terms, finished_result, finished_together, hold_run, say_finished
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
        return _train(config, accelerator)


def _train(config: TrainConfig, accelerator: Accelerator) -> dict[str, Any]:
    """`train` with the processes that have found each other."""
    if (finished := finished_together(config.out, "train", config)) is not None:
        return finished
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
    setup = RegimeSetup(
        config=config,
        real=real,
        views=view_maker(config, store, key),
        key=key,
        accelerator=accelerator,
        total_steps=steps,
    )
    if config.online:  # once, and before anything is built by it or records it
        settled = dataclasses.replace(config, discriminator_augment=discriminator_augment(setup))
        setup = dataclasses.replace(setup, config=settled)
    regime = build_regime(setup)

    def encoder() -> Encoder:
        return Encoder(step.inner.backbone, config.backbone, size)

    measured = measurements(config, store, accelerator, regime, steps, encoder)

    def schedule(total_steps: int) -> Schedule:
        return make_schedule(config, learner, real.steps_per_epoch, total_steps)

    code = learner_source(config.learner)
    came_to: dict[str, Any] = precisions(config, accelerator)
    if config.online:
        came_to["discriminator_augment"] = setup.config.discriminator_augment
    if config.shards:
        came_to["shards_per_window"] = config.shards_per_window
    terms = Terms(
        steps=steps,
        rate=lambda total_steps, step: schedule(total_steps).at(step),
        came_to=came_to,
        made_of={"data": store.described()} | regime.made_of | ({} if code is None else {"learner": f"code {code}"}),
    )
    with hold_run(config.out, "train", config, terms, main_process=accelerator.is_main_process) as run:
        if run.result is not None:
            say_finished(run.path)
            return run.result
        step = prepare(config, accelerator, learner, regime, schedule(steps))

        with (
            real.reading_ahead(steps),
            regime.open(),
            open_trackers(config.tracker, run, config, main_process=accelerator.is_main_process) as trackers,
        ):
            seconds = run_loop(
                run,
                step.parts,
                step,
                loop_options(config, accelerator, f"train {config.regime}", steps, WATCH),
                journals=regime.journals,
                every={config.sample_every: lambda done: save_snapshot(regime, run, done, store, trackers)},
                row_logs=[*trackers, GuardNotice(run.metrics, log.warning), CollapseWatch(run.metrics)],
                measurements=measured,
            )

            def finish() -> dict[str, Any]:
                trained = encoder()
                result = _result(config, run, regime, real, steps, seconds)
                result |= {"precision": came_to["precision"], "encoder_hash": trained.weights_hash()}
                result |= {} if code is None else {"learner_code": code}
                with writing_to(run.path):
                    trained.save(run.path / "encoder")
                    regime.save(run.path)
                    run.finish(result)
                return result

            # The last row of the metrics is surely there for the process alone that writes it.
            result = made_by_main(finish, main_process=accelerator.is_main_process)
    accelerator.wait_for_everyone()
    return result


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
