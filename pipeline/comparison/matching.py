"""What runs differ in beyond the regime, the seed and what their arm declares. A winner is called only where that is
nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ..configs.arms import unmet
from ..configs.concerns import concerns
from ..configs.regimes import REGIMES
from ..configs.train import TrainConfig
from ..options.types import flag
from ..runs.length import describe_changes
from .plan import LENGTH, images_per_sample
from .runs import ComparedRun, by_arm

TOLERANCE = {"steps": 0.0, "images": 0.01, "seconds": 0.05}
"""By how much budgets may differ, relative to the largest, since whole steps cannot divide images and seconds. Ours."""
APART = {"seed"} | {
    name
    for entry in REGIMES.values()
    for name in (*entry.of_a_seed, *([entry.selected_by] if entry.source != "set" else []))
    if name is not None
}
"""What runs differ in by right: the seed, what is a seed's own, and what chooses the regime and says nothing more. (A
shard set does say more: runs of the regime are to share it.) The length is compared in another way."""

SAMPLING = {"generator", "sampler", "sampling_steps"}
"""What chooses how a generator draws."""


def mismatches(runs: Sequence[ComparedRun], equal: str, *, planned: bool = False) -> list[str]:
    """What else the runs differ in, a line each; empty for a fair comparison.

    Runs of one arm must agree in all options; those of different arms, in all but what one of the two declares.

    Args:
        runs: of two arms or more.
        equal: `steps`, `seconds` or `images`: what all should have got the same of.
        planned: the lengths were chosen so, from rates measured beforehand; they are not judged by what came out.
    """
    lines = []
    for f in dataclasses.fields(TrainConfig):
        if f.name in APART or (f.metadata["option"].may_change):
            continue
        concerned = [run for run in runs if concerns(f, [run.regime]) and not unmet(f, vars(run.config))]
        for alike in _must_agree(concerned, {f.name}):
            values = [getattr(run.config, f.name) for run in alike]
            if f.name != "generator" or not of_each_seed(alike, values):
                lines += _differing(flag(f.name), alike, values)
    for alike in _must_agree(runs, {"data"}):
        lines += _differing("training images", alike, [run.result["num_images"] for run in alike])
    drawn = [run for run in runs if "generator_hash" in run.result]  # records of earlier versions lack it
    hashes = opened_hashes(drawn)
    for alike in _must_agree(drawn, {"generator"}):
        values = [hashes[run.result["generator_hash"]][:12] for run in alike]
        if not of_each_seed(alike, values):
            lines += _differing("generator, its class and weights", alike, values)
    for alike in _must_agree([run for run in runs if "learner_code" in run.result], {"learner"}):
        lines += _differing("the learner's code", alike, [run.result["learner_code"] for run in alike])
    for alike in _must_agree([run for run in drawn if "generator_sampling" in run.result], SAMPLING):
        values = [run.result["generator_sampling"] for run in alike]
        lines += _differing("how the generator draws", alike, values)
    for alike in _must_agree(runs, LENGTH):
        changes = [describe_changes(run.result.get("length_changes", [])) or "in one go" for run in alike]
        lines += _differing("how they were trained", alike, changes)
    if not planned:
        for alike in _must_agree(runs, LENGTH):
            lines += _unequal_budgets(alike, equal)
    return list(dict.fromkeys(lines))


def _must_agree(runs: Sequence[ComparedRun], names: set[str]) -> list[list[ComparedRun]]:
    """Groups of runs that must agree in options: those whose arms do not declare them, and each arm that does."""
    own = [group for group in by_arm(runs).values() if group[0].arm.declares & names]
    others = [run for run in runs if not run.arm.declares & names]
    return [group for group in (others, *own) if group]


def opened_hashes(runs: Sequence[ComparedRun]) -> dict[str, str]:
    """Of each generator that runs have recorded, by its fingerprint there, the fingerprint as it is opened.

    Adapters and a class for training give a generator another one in training. Recordings know that alone, as do
    records of earlier versions; a run of now that trained it has recorded both.
    """
    hashes = {
        run.result["generator_hash"]: run.result["generator_hash"] for run in runs if "generator_hash" in run.result
    }
    return hashes | {
        run.result["generator_hash_in_training"]: run.result["generator_hash"]
        for run in runs
        if "generator_hash_in_training" in run.result
    }


def of_each_seed(runs: Sequence[ComparedRun], values: Sequence[Any]) -> bool:
    """Whether each seed has a value of its own, the same in all arms, and all arms have all seeds.

    A generator for each seed is then no difference between arms: differences are paired by seed, and their intervals
    cover the choice of the generator.
    """
    arms = {run.name for run in runs}
    by_seed: dict[int, dict[str, Any]] = {}
    for run, value in zip(runs, values, strict=True):
        by_seed.setdefault(run.seed, {})[run.name] = value
    own = [set(found.values()) for found in by_seed.values() if found.keys() == arms]
    one_each = len(own) == len(by_seed) and all(len(found) == 1 for found in own)
    return one_each and len(set.union(*own)) == len(own) > 1


def generators_of_seeds(runs: Sequence[ComparedRun]) -> list[str]:
    """A sentence if each seed has a generator of its own."""
    drawn = [run for run in runs if run.result.get("generator_hash")]
    hashes = opened_hashes(drawn)
    if not drawn or not all(
        of_each_seed(alike, [hashes[run.result["generator_hash"]] for run in alike])
        for alike in _must_agree(drawn, {"generator"})
    ):
        return []
    return ["each seed has a generator of its own: the intervals cover the choice of the generator too"]


def unmatched_seeds(runs: Sequence[ComparedRun]) -> list[str]:
    """A sentence for each arm that lacks seeds others have; pairs are then fewer."""
    seeds = {run.seed for run in runs}
    lacking = {name: seeds - {run.seed for run in own} for name, own in by_arm(runs).items()}
    return [
        f"{name} has no run of seed {', '.join(map(str, sorted(missing)))}: differences use the seeds that both have"
        for name, missing in lacking.items()
        if missing
    ]


def other_conditions(runs: Sequence[ComparedRun]) -> list[str]:
    """Versions and hardware that differ between runs: no part of the method, but seconds do not compare then."""
    names = sorted({name for run in runs for part in ("versions", "hardware") for name in run.record[part]})
    facts = [run.record["versions"] | run.record["hardware"] for run in runs]
    return [line for name in names for line in _differing(name, runs, [each.get(name) for each in facts])]


def images_through_learner(run: ComparedRun) -> float:
    """Images, real and synthetic, each before its two views; one that is seen in four views counts twice."""
    synthetic = run.result["num_synthetic"]
    images = run.result["steps"] * run.config.batch_size
    if synthetic:
        images += images_per_sample(run.config) * synthetic
    return images * run.config.whole_views / 2


def _differing(what: str, runs: Sequence[ComparedRun], values: Sequence[Any]) -> list[str]:
    """A line that says which runs have which value, one each, if they differ."""
    holders: dict[str, list[str]] = {}
    for run, value in zip(runs, values, strict=True):
        holders.setdefault(repr(value), []).append(f"{run.name} seed {run.seed}")
    if len(holders) < 2:
        return []
    return [f"{what}: " + "; ".join(f"{one} in {', '.join(names)}" for one, names in holders.items())]


def _unequal_budgets(runs: Sequence[ComparedRun], equal: str) -> list[str]:
    measures: dict[str, Callable[[ComparedRun], float]] = {
        "steps": lambda run: run.result["steps"],
        "images": images_through_learner,
        "seconds": lambda run: run.result["seconds"],
    }
    spent = [measures[equal](run) for run in runs]
    if max(spent) - min(spent) <= TOLERANCE[equal] * max(spent):
        return []
    what = {"steps": "optimizer steps", "images": "images through the learner", "seconds": "seconds of training"}
    return _differing(what[equal], runs, [measures[equal](run) for run in runs])
