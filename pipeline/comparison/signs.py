"""Signs that a run has gone wrong, read off what it logged, each with the option to turn.

A difference of accuracies says nothing about a method whose runs have these: the report has them first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..regimes.base import synthetic_share
from ..regimes.guard import COLOUR_BAND, MIN_MARGIN, furthest_distance
from .plan import images_per_sample
from .runs import ComparedRun, by_arm

LAST_PART = 0.1
"""The last part of a training, over whose logged steps a sign is read. Ours."""
CHANCE = 0.97
"""Hardness is said to be at chance from this part of chance on: the loss of an embedding in which all views are equally
near to each other. Ours."""
UNRELATED = 0.1
"""Below this cosine similarity the two images of a pair are taken for as good as unrelated: negatives of a contrastive
loss spread over the sphere, around 0. Ours, and not tried with learners that have none. At the defaults joint training
has gained with .15 to .5, which is below that of two views of one image."""
HELD_BACK = 0.5
"""If the guard has left less than this part of the weight of hardness, that is said. Ours."""

Rows = Sequence[dict[str, Any]]


def signs(runs: Sequence[ComparedRun]) -> list[str]:
    """A sentence for each sign that an arm has in one of its runs or more, with the seeds."""
    found = []
    for name, own in by_arm(runs).items():
        logged = {run.seed: (run, run.metrics()) for run in own}
        for sign in _SIGNS:
            said = {seed: words for seed, (run, rows) in logged.items() if (words := sign(run, rows)) is not None}
            if said:
                where = "" if len(said) == len(own) else f" (seed {', '.join(map(str, said))})"
                found.append(f"{name}{where}: {next(iter(said.values()))}")
    return found


def _chance(run: ComparedRun, rows: Rows) -> str | None:
    hardness = _late(rows, "hardness_synthetic")
    plain = run.config.learner == "simclr" and run.config.synthetic_loss == "ppcl" and run.config.synthetic_negatives
    if hardness is None or not plain or run.config.adversarial is not None:
        return None
    try:
        per_latent = images_per_sample(run.config)
    except DataError:  # the set is moved or removed since, and alone knows that
        return None
    latents = synthetic_share(run.config.batch_size, run.config.synthetic_ratio, 0, 1).total
    views = (run.config.batch_size + latents * per_latent) * run.config.views_per_image
    chance = math.log(views - 1)
    if hardness < CHANCE * chance:
        return None
    return (
        f"the loss of synthetic views is {hardness:.2f}, at chance (log of {views - 1} other views: {chance:.2f}): the "
        "learner cannot tell which views belong together. Turn --hardness-clip down, or pretrain the generator longer"
    )


def _pairs(run: ComparedRun, rows: Rows) -> str | None:
    pairs = _late(rows, "pair_similarity")
    if pairs is None or pairs >= UNRELATED:
        return None
    return (
        f"the two images of a pair are hardly more alike ({pairs:.2f}) than any two images are to the learner: "
        "G runs ahead of G_ema. Turn --hardness-clip down so that it moves less (--pair-floor, --pair-similarity and a "
        "lower --pair-ema-decay gained nothing in benchmarks/online)"
    )


def _margin(run: ComparedRun, rows: Rows) -> str | None:
    margin = _late(rows, "margin")
    if margin is None or margin >= MIN_MARGIN:
        return None
    return (
        f"the discriminator tells nothing any more (margin {margin:.3g}): nothing holds the generator to real images. "
        "Turn --discriminator-learning-rate or --hardness-clip down, or pretrain the generator longer"
    )


def _colours(run: ComparedRun, rows: Rows) -> str | None:
    spread = _late(rows, "colour_spread")
    low, high = COLOUR_BAND
    if spread is None or low <= spread <= high:
        return None
    return (
        f"the mean colours of samples vary {spread:.2g} times as much as those of real images: the generator recolours "
        "them. Turn --hardness-clip or --generator-learning-rate down"
    )


def _distance(run: ComparedRun, rows: Rows) -> str | None:
    measured = [row for row in rows if "frechet_distance" in row]
    if not measured:
        return None
    distance = measured[-1]["frechet_distance"]
    # What the guard compares with knows the generator before the first step too; older runs do not have it.
    least = measured[-1].get("least_frechet_distance", min(row["frechet_distance"] for row in measured))
    if distance <= furthest_distance(least, measured[-1].get("frechet_distance_real", 0.0)):
        return None
    return (
        f"the Fréchet distance of samples rose from {least:.3g} to {distance:.3g}: they left the real "
        "images. Turn --hardness-clip or --generator-learning-rate down"
    )


def _guard(run: ComparedRun, rows: Rows) -> str | None:
    left = [(row["hard_guard"], row["step"]) for row in rows if "hard_guard" in row]
    if not left or min(left)[0] >= HELD_BACK:
        return None
    factor, step = min(left)
    times = int(sum(row.get("generator_went_back", 0) for row in rows))
    back = f", and brought the generator back {times} time{'s' if times > 1 else ''}" if times else ""
    return (
        f"the guard held hardness back, to {factor:.0%} of its weight at step {step:,}{back}, because the generator "
        "had left its band: this is less joint training than was asked for. Turn --hardness-clip down"
    )


_SIGNS: tuple[Callable[[ComparedRun, Rows], str | None], ...] = (_chance, _pairs, _margin, _colours, _distance, _guard)


def _late(rows: Rows, name: str) -> float | None:
    """The mean of a quantity over the last part of the training; None where it was not logged."""
    there = [(row["step"], row[name]) for row in rows if name in row]
    if not there:
        return None
    begin = (1 - LAST_PART) * there[-1][0]
    return float(np.mean([value for step, value in there if step >= begin]))
