"""Doing what a comparison plans: each part is skipped when it is finished and continued when it was interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ..configs.arms import Arm, equal_views, needs_set
from ..configs.compare import CompareConfig
from ..configs.regimes import BASELINE, REGIMES
from ..configs.train import TrainConfig
from ..configs.training import TrainingConfig
from ..data import GlobalOrder, ImageStore, open_images
from ..data.caching import shared_cache
from ..errors import UsageError
from ..evaluation.monitors.quality import num_compared, open_real_encoder
from ..evaluation.task import open_labeled
from ..files import read_json, write_json
from ..generation.generate import generate
from ..generation.opening import open_generator
from ..progress.line import say
from ..progress.overall import Overall
from ..randomness import Key
from ..regimes.anchored import are_anchored
from ..regimes.base import check_generator_size, synthetic_share
from ..regimes.offline import check_image_size, check_num_samples
from ..runs.opening import finished_result
from ..shards import open_shard_set
from ..training.build import build_learner, view_size
from ..training.train import train
from .evaluations import Answer, Answers
from .plan import Budget, PlannedRun, generation, make_budget, planned_runs, train_config, with_recordings
from .progress import SET, NumImages, question_key, question_parts, run_key
from .runs import ComparedRun

SHORT_STEPS, LONG_STEPS = 10, 50
"""Lengths of the trainings that measure a rate: their difference is free of what starting and saving cost. Ours."""


def count_images(config: CompareConfig, data: str, image_size: int | None) -> NumImages:
    """How many images there are to fit probes on and to score them on, by the SPECs of both.

    Args:
        config: of the comparison.
        data: SPEC of the images of the trainings.
        image_size: theirs; None for the images' own.

    Raises:
        UsageError, DataError: images that cannot be probed.
    """
    found = {}
    for one, test_data in [(data, config.test_data), *config.transfers()]:
        train_images, test_images, *_ = open_labeled(one, test_data, image_size=image_size, data_root=config.data_root)
        found[one, test_data] = (len(train_images), len(test_images))
    return found


def check_inputs(config: CompareConfig) -> NumImages:
    """Open all that the comparison needs, before anything is written and hours are spent.

    Returns:
        What `count_images` gives.

    Raises:
        UsageError, DataError: images that cannot be probed, an unknown backbone, a generator or a set of shards that
            does not fit, an encoder that cannot judge a generator, or steps that are larger than the images or the set.
    """
    assert config.data is not None, "checked with the options"
    num_images = count_images(config, config.data, config.image_size)
    arms, store = config.arms(), _training_images(config)
    check_equal_views(config, arms)
    make_budget(config, LONG_STEPS, _of_a_trial, {arm.name: 1.0 for arm in arms}, kept_budget(config))
    sampling = {config.generator: config.sampling_options()} if config.generator is not None else {}
    judges: set[tuple[str, int]] = set()
    for arm in arms:
        options = train_config(config, arm, config.seed, 1)
        images = _training_images(options) if {"data", "image_size"} & set(arm.options) else store
        try:
            check_training(options, images, its_own_set=needs_set(arm) and not config.shards)
        except UsageError as error:
            raise UsageError(f"--arm {arm.name}: {error}" if arm.options else str(error)) from None
        if options.eval_encoder is not None:
            num_compared(len(images), options.eval_samples)
            judge = (options.eval_encoder, images.image_size)
            if judge not in judges:
                judges.add(judge)
                open_real_encoder(*judge)
        if REGIMES[arm.regime].learns:
            options.try_out()  # before another arm is trained: a class of the user's does not learn
        if options.generator is not None:
            sampling.pop(options.generator, None)
            check_generator(options.generator, options.sampling_options(), images.image_size, options.resize_samples)
    for generator, how in sampling.items():
        check_generator(generator, how, store.image_size, config.resize_samples)
    return num_images


def check_training(options: TrainConfig, images: ImageStore, *, its_own_set: bool) -> None:
    """Raises UsageError or DataError for a training that could not begin.

    Args:
        options: of the training.
        images: that it is on.
        its_own_set: whether its shard set is one that the comparison generates, and may not be there.
    """
    build_learner(options, view_size(options, images.image_size))
    GlobalOrder(len(images), options.batch_size, Key.from_seed(options.seed))
    if its_own_set or not options.shards:
        return
    sets = [open_shard_set(path, where=options.where) for path in options.shards]
    if not options.resize_samples:
        for each in sets:
            check_image_size("--shards", each, images.image_size)
    if not (options.anchored and are_anchored(sets)):
        drawn = synthetic_share(options.batch_size, options.synthetic_ratio, 0, 1).total
        check_num_samples(" + ".join(options.shards), sum(map(len, sets)), drawn)


def _training_images(config: TrainingConfig) -> ImageStore:
    return open_images(config.data, image_size=config.image_size, split="train", data_root=config.data_root)


def check_equal_views(config: CompareConfig, arms: Sequence[Arm]) -> None:
    """Raises UsageError if real images have as many views as pairs would make, and the sets of --shards hold others."""
    for arm in arms if config.shards else ():
        if arm.name != f"{BASELINE}-equal-views":
            continue
        for path in config.shards:
            held = open_shard_set(path, where=config.where).views_per_sample
            number = equal_views(config.synthetic_ratio, config.views_per_image, held)
            if number != arm.options["views_per_image"]:
                raise UsageError(
                    f"{arm.name} would have {arm.options['views_per_image']} views of each real image, and samples "
                    f"of --shards {path} have {held} images, which make {number}; name {BASELINE}-{number}-views"
                )


def check_generator(generator: str, sampling: dict[str, Any], image_size: int, resizes: bool) -> None:
    """Raises UsageError if a generator cannot be opened, or makes images of a size that is neither that of training nor
    brought to it."""
    check_generator_size(generator, open_generator(generator, **sampling).image_size, image_size, resizes=resizes)


def kept_budget(config: CompareConfig) -> Budget | None:
    """The budget in OUT/plan.json; None if there is none."""
    file = Path(config.out) / "plan.json"
    return Budget(**read_json(file, "give another --out")) if file.exists() else None


def length(config: CompareConfig) -> int:
    """The steps of real images alone."""
    return config.steps if config.steps is not None else (config.epochs or 1) * steps_per_epoch(config)


def steps_per_epoch(config: TrainingConfig) -> int:
    """The steps of an epoch of the images and the batch size of a training, or of all that declare no others."""
    return GlobalOrder(len(_training_images(config)), config.batch_size, Key.from_seed(config.seed)).steps_per_epoch


def decide_budget(config: CompareConfig, accelerator: Accelerator) -> Budget:
    """The budget in OUT/plan.json, or a new one, measured where that is asked for and kept there.

    What is kept stays, but for arms that declare their own length: theirs follows what they declare now.
    """
    # The main process decides for all: rates differ between processes, and the folder may not be shared.
    kept = [kept_budget(config) if accelerator.is_main_process else None]
    before = broadcast_object_list(kept)[0]
    new = arms_to_plan(config, before)
    rates = [_measure(config, accelerator, new) if config.equal == "seconds" and new else {}]
    budget = make_budget(config, length(config), steps_per_epoch, broadcast_object_list(rates)[0], before)
    if accelerator.is_main_process and budget != before:
        write_json(Path(config.out) / "plan.json", asdict(budget))
    return budget


def arms_to_plan(config: CompareConfig, kept: Budget | None) -> list[Arm]:
    """The arms that have no length yet."""
    return [arm for arm in config.arms() if kept is None or arm.name not in kept.steps]


@dataclass(frozen=True)
class Trained:
    """What was planned and is there now: the runs, and what `generate` said of the set (None if none was wanted).

    Attributes:
        new: whether anything was done that was not there before.
    """

    runs: list[PlannedRun]
    generated: dict[str, Any] | None
    new: bool


def execute(config: CompareConfig, budget: Budget, accelerator: Accelerator, overall: Overall) -> Trained:
    """Generate and train all that is planned and not there yet.

    Raises:
        Interrupted: a signal came; what is done is saved, and the same command continues.
    """
    generated, new = _generate(config, budget, accelerator, overall)
    runs = planned_runs(config, budget)
    with shared_cache():
        for planned in runs:
            if finished_result(planned.path, "train", planned.config, tell=False) is not None:
                overall.skip(run_key(planned))
                continue
            new = True
            with overall.part(run_key(planned)):
                train(planned.config)
    return Trained(runs, generated, new)


def _generate(
    config: CompareConfig, budget: Budget, accelerator: Accelerator, overall: Overall
) -> tuple[dict[str, Any] | None, bool]:
    """The set for offline, and whether a part of it is new. What it took is kept beside the plan, since a set that is
    found again took nothing."""
    wanted = generation(config, budget)
    if wanted is None:
        return None, False
    file = Path(config.out) / "generated.json"
    with overall.part(SET):
        result = generate(wanted)
    if file.exists() and result["reused"]:
        return read_json(file, "remove it"), False
    if accelerator.is_main_process:
        write_json(file, result)
    return result, not result["reused"]


def evaluate_runs(
    runs: Sequence[ComparedRun], config: CompareConfig, data: str, overall: Overall, num_images: NumImages
) -> tuple[list[Answer], bool]:
    """Ask everything of every run, and of untrained weights once a seed.

    Args:
        runs: the runs.
        config: of the comparison.
        data: SPEC of the images to fit on.
        overall: is told of it.
        num_images: to fit and to score on; see `count_images`.

    Returns:
        The answers, and whether any of them is new.
    """
    answers = Answers(runs, config, data)
    overall.plan(question_parts(config, data, list(answers.runs), num_images))
    new = False
    for asked in answers.asked:
        key = question_key(*asked)
        if answers.file(*asked).exists():
            overall.skip(key)
            continue
        new = True
        with overall.part(key):
            answers.ask(*asked)
    return [answers.read(*asked) for asked in answers.asked], new


def _measure(config: CompareConfig, accelerator: Accelerator, arms: Sequence[Arm]) -> dict[str, float]:
    """Seconds a step of each of the arms, by training each for a short and for a longer while.

    The median that `trial.try_arm` gives leaves out what only some steps have, such as pictures of samples. As a rate
    it would give arms that train a generator more steps than their seconds allow.
    """
    folder = Path(config.out) / "rates"
    _remove(folder, accelerator)
    shards = None
    if any(needs_set(arm) for arm in arms) and not config.shards:
        trial = make_budget(config, LONG_STEPS, _of_a_trial, {arm.name: 1.0 for arm in config.arms()})
        wanted = generation(config, trial)
        shards = folder / "shards"
        assert wanted is not None, "arms that need a set have one generated"
        wanted.out = str(shards)
        generate(wanted)
    seconds: dict[str, dict[int, float]] = {arm.name: {} for arm in arms}
    for arm in with_recordings(config, arms):
        if accelerator.is_main_process:
            say(f"rate of {arm.name}")
        for steps in (SHORT_STEPS, LONG_STEPS):
            # Each with its own recording, so that a replay of either length has one.
            options = train_config(config, arm, config.seed, steps, runs=folder / str(steps), shards=shards)
            options.tracker = []
            took = train(options)["seconds"]
            if arm in arms:
                seconds[arm.name][steps] = took
    _remove(folder, accelerator)
    between = LONG_STEPS - SHORT_STEPS
    return {name: max((own[LONG_STEPS] - own[SHORT_STEPS]) / between, 1e-6) for name, own in seconds.items()}


def _of_a_trial(_: TrainConfig) -> int:
    """Steps of an epoch where the length is not what is asked."""
    return LONG_STEPS


def _remove(folder: Path, accelerator: Accelerator) -> None:
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
    accelerator.wait_for_everyone()
