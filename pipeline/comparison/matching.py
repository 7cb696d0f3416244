"""What runs differ in beyond the regime and the seed. A winner is called only where that is nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ..configs.train import TrainConfig, concerns
from ..options import flag
from ..run_length import describe_changes
from .plan import images_per_sample
from .runs import ComparedRun

TOLERANCE = {"steps": 0.0, "images": 0.01, "seconds": 0.05}
"""By how much budgets may differ, relative to the largest, since whole steps cannot divide images and seconds. Ours."""
APART = {"out", "seed", "steps", "epochs", "log_every", "record", "online", "fresh", "replay"}
"""What runs may differ in: compared in another way (the length, the regime), of no influence on the weights, or of a
seed by right (the recording)."""


def mismatches(runs: Sequence[ComparedRun], equal: str, *, planned: bool = False) -> list[str]:
    """What else the runs differ in, a line each; empty for a fair comparison.

    Args:
        runs: of two regimes or more.
        equal: `steps`, `seconds` or `images`: what all should have got the same of.
        planned: the lengths were chosen so, from rates measured beforehand; they are not judged by what came out.
    """
    lines = []
    for f in dataclasses.fields(TrainConfig):
        if f.name in APART or (f.metadata["option"].may_change):
            continue
        concerned = [run for run in runs if concerns(f, [run.regime])]
        lines += _differing(flag(f.name), concerned, [getattr(run.config, f.name) for run in concerned])
    lines += _differing("training images", runs, [run.result["num_images"] for run in runs])
    drawn = [run for run in runs if "generator_hash" in run.result]  # records of earlier versions lack it
    lines += _differing("weights of the generator", drawn, [run.result["generator_hash"][:12] for run in drawn])
    changes = [describe_changes(run.result.get("length_changes", [])) or "in one go" for run in runs]
    lines += _differing("how they were trained", runs, changes)
    if not planned:
        lines += _unequal_budgets(runs, equal)
    return lines


def unmatched_seeds(runs: Sequence[ComparedRun]) -> list[str]:
    """A sentence for each regime that lacks seeds others have; pairs are then fewer."""
    seeds = {run.seed for run in runs}
    lacking = {regime: seeds - {run.seed for run in runs if run.regime == regime} for regime in _regimes(runs)}
    return [
        f"{regime} has no run of seed {', '.join(map(str, sorted(missing)))}: differences use the seeds that both have"
        for regime, missing in lacking.items()
        if missing
    ]


def other_conditions(runs: Sequence[ComparedRun]) -> list[str]:
    """Versions and hardware that differ between runs: no part of the method, but seconds do not compare then."""
    names = sorted({name for run in runs for part in ("versions", "hardware") for name in run.record[part]})
    facts = [run.record["versions"] | run.record["hardware"] for run in runs]
    return [line for name in names for line in _differing(name, runs, [each.get(name) for each in facts])]


def images_through_learner(run: ComparedRun) -> int:
    """Images, real and synthetic, each before its two views."""
    return run.result["steps"] * run.config.batch_size + images_per_sample(run.config) * run.result["num_synthetic"]


def _differing(what: str, runs: Sequence[ComparedRun], values: Sequence[Any]) -> list[str]:
    """A line that says which runs have which value, one each, if they differ."""
    holders: dict[str, list[str]] = {}
    for run, value in zip(runs, values, strict=True):
        holders.setdefault(repr(value), []).append(f"{run.regime} seed {run.seed}")
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


def _regimes(runs: Sequence[ComparedRun]) -> list[str]:
    return list(dict.fromkeys(run.regime for run in runs))
