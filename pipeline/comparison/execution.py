"""Doing what a comparison plans: each part is skipped when it is finished and continued when it was interrupted."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ..configs.compare import CompareConfig
from ..data import GlobalOrder, open_images
from ..errors import UsageError
from ..evaluation.task import open_labeled
from ..files import read_json, write_json
from ..generation import generate, open_generator
from ..randomness import Key
from ..regimes.offline import check_image_size
from ..shards import open_shard_set
from ..training import build_learner, train
from .plan import Budget, PlannedRun, generation, make_budget, planned_runs, train_config

SHORT_STEPS, LONG_STEPS = 10, 50
"""Lengths of the trainings that measure a rate: their difference is free of what starting and saving cost. Ours."""


def check_inputs(config: CompareConfig) -> None:
    """Open all that the comparison needs, before anything is written and hours are spent.

    Raises:
        UsageError, DataError: images that cannot be probed, an unknown backbone, or a generator or a set of shards that
            does not fit.
    """
    assert config.data is not None, "checked with the options"
    for data, test_data in [(config.data, config.test_data), *config.transfers()]:
        train_images, *_ = open_labeled(data, test_data, image_size=config.image_size, data_root=config.data_root)
        if data == config.data:
            image_size = train_images.image_size
    make_budget(config, LONG_STEPS, dict.fromkeys(config.regime_names(), 1.0))
    for regime in config.regime_names():
        options = train_config(config, regime, config.seed, 1)
        build_learner(options, image_size)
        for path in options.shards if config.shards else []:
            check_image_size("--shards", open_shard_set(path, where=options.where), image_size)
    if config.generator is not None:
        size = open_generator(config.generator, **config.sampling_options()).image_size
        if size != image_size:
            raise UsageError(
                f"--generator {config.generator} makes images of {size} pixels, and the training is at {image_size}; "
                f"give --image-size {size}, or a generator of {image_size} pixels"
            )


def decide_budget(config: CompareConfig, accelerator: Accelerator) -> Budget:
    """The budget in OUT/plan.json, or a new one, measured where that is asked for and kept there."""
    file = Path(config.out) / "plan.json"
    # The main process decides for all: rates differ between processes, and the folder may not be shared.
    kept = [read_json(file, "give another --out") if accelerator.is_main_process and file.exists() else None]
    if accelerator.num_processes > 1:
        broadcast_object_list(kept)
    if kept[0] is not None:
        return Budget(**kept[0])
    steps = config.steps if config.steps is not None else (config.epochs or 1) * _steps_per_epoch(config)
    rates = [_measure(config, accelerator) if config.equal == "seconds" else None]
    if accelerator.num_processes > 1:
        broadcast_object_list(rates)
    budget = make_budget(config, steps, rates[0])
    if accelerator.is_main_process:
        write_json(file, asdict(budget))
    return budget


@dataclass(frozen=True)
class Trained:
    """What was planned and is there now: the runs, and what `generate` said of the set (None if none was wanted)."""

    runs: list[PlannedRun]
    generated: dict[str, Any] | None


def execute(config: CompareConfig, budget: Budget, accelerator: Accelerator) -> Trained:
    """Generate and train all that is planned and not there yet.

    Raises:
        Interrupted: a signal came; what is done is saved, and the same command continues.
    """
    generated = _generate(config, budget, accelerator)
    runs = planned_runs(config, budget)
    for number, planned in enumerate(runs, start=1):
        _say(accelerator, f"run {number} of {len(runs)}: {planned.regime}, seed {planned.seed}")
        train(planned.config)
    return Trained(runs, generated)


def _generate(config: CompareConfig, budget: Budget, accelerator: Accelerator) -> dict[str, Any] | None:
    """The set for offline. What it took is kept beside the plan, since a set that is found again took nothing."""
    wanted = generation(config, budget)
    if wanted is None:
        return None
    file = Path(config.out) / "generated.json"
    _say(accelerator, f"offline set of {wanted.num_samples:,} latents")
    result = generate(wanted)
    if file.exists() and result["reused"]:
        return read_json(file, "remove it")
    if accelerator.is_main_process:
        write_json(file, result)
    return result


def _steps_per_epoch(config: CompareConfig) -> int:
    assert config.data is not None, "checked with the options"
    store = open_images(config.data, image_size=config.image_size, split="train", data_root=config.data_root)
    return GlobalOrder(len(store), config.batch_size, Key.from_seed(config.seed)).steps_per_epoch


def _measure(config: CompareConfig, accelerator: Accelerator) -> dict[str, float]:
    """Seconds a step of each regime, by training each for a short and for a longer while."""
    folder = Path(config.out) / "rates"
    _remove(folder, accelerator)
    shards = None
    rates = {}
    if "offline" in config.regime_names() and not config.shards:
        wanted = generation(config, make_budget(config, LONG_STEPS, dict.fromkeys(config.regime_names(), 1.0)))
        shards = folder / "shards"
        assert wanted is not None, "offline without --shards generates"
        wanted.out = str(shards)
        generate(wanted)
    for regime in config.regime_names():
        _say(accelerator, f"rate of {regime}")
        seconds = {}
        for steps in (SHORT_STEPS, LONG_STEPS):
            # Each with its own recording, so that a replay of either length has one.
            options = train_config(config, regime, config.seed, steps, runs=folder / str(steps), shards=shards)
            seconds[steps] = train(options)["seconds"]
        rates[regime] = max((seconds[LONG_STEPS] - seconds[SHORT_STEPS]) / (LONG_STEPS - SHORT_STEPS), 1e-6)
    _remove(folder, accelerator)
    return rates


def _remove(folder: Path, accelerator: Accelerator) -> None:
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
    accelerator.wait_for_everyone()


def _say(accelerator: Accelerator, text: str) -> None:
    if accelerator.is_main_process:
        print(f"compare: {text}", file=sys.stderr, flush=True)
