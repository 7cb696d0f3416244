"""What the numbers say, in words that say no more than they do."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..configs.arms import Arm
from ..configs.regimes import BASELINE, REGIMES
from ..evaluation.accuracy import CONFIDENCE
from .statistics import (
    MIN_SEEDS,
    Difference,
    Spread,
    detectable_difference,
    matching_fraction,
    paired_difference,
    seeds_needed,
    spread,
    with_holm,
)

METRICS = {
    "linear": "linear-probe top-1 accuracy (L-BFGS, all labels)",
    "knn": "top-1 accuracy of nearest neighbours (kNN, all labels)",
}
"""What may decide, by the name that --metric takes. The other of them, label fractions, transfer and corrupted images
are shown and decide nothing."""


def compare_arms(
    scores: Mapping[str, Mapping[int, float]],
    pairs: Sequence[tuple[str, str]],
    primary: tuple[str, str] | None = None,
) -> list[Difference]:
    """The differences that are judged, corrected together.

    Args:
        scores: by arm, then by seed.
        pairs: what is judged: an arm and the one that is taken off. Where the two are named in reverse too, that is
            the same comparison: it is judged as it is named first.
        primary: the one comparison that was named beforehand, which needs no correction; it takes the place of its
            reverse.
    """
    asked: dict[frozenset[str], tuple[str, str]] = {}
    for pair in pairs:
        asked.setdefault(frozenset(pair), pair)
    if primary is not None:
        asked[frozenset(primary)] = primary
    found = [paired_difference(*pair, scores[pair[0]], scores[pair[1]]) for pair in asked.values()]
    return with_holm([difference for difference in found if difference is not None], primary)


def default_pairs(arms: Sequence[Arm], reference: str, views_per_image: int = 2) -> list[tuple[str, str]]:
    """What is judged where nothing else is asked: each arm less the reference, and differences that mean something.

    Args:
        arms: that are compared.
        reference: the name of one.
        views_per_image: see `meaning`.
    """
    pairs = [(arm.name, reference) for arm in arms if arm.name != reference]
    for arm in arms:
        for other in arms:
            if meaning(arm, other, views_per_image) is not None and (other.name, arm.name) not in pairs:
                pairs.append((arm.name, other.name))
    return list(dict.fromkeys(pairs))


def meaning(arm: Arm, other: Arm, views_per_image: int = 2) -> str | None:
    """What the difference of two arms measures, in words; None where there is nothing to say.

    Regimes have it from their table. An arm is compared with the regime that it changes, and arms with synthetic
    samples with real images in more views.

    Args:
        arm, other: of which the difference is.
        views_per_image: of real images in arms that declare no number of their own.
    """
    if arm.name == other.name:
        return None
    if arm.plain and other.plain:
        return REGIMES[arm.regime].differences.get(other.name)
    if other.more_views(views_per_image) and arm.plain and arm.regime != BASELINE:
        number = other.options["views_per_image"]
        return f"{REGIMES[arm.regime].differences[BASELINE]} in {number} views each"
    if arm.more_views(views_per_image):
        return "what more views of the same real images add" if other.plain and other.regime == BASELINE else None
    if other.plain and other.regime == arm.regime:
        return f"what {arm.flags} changes in {other.name}" if arm.flags else None
    return None


def winner(arms: Sequence[str], differences: Sequence[Difference], mismatches: Sequence[str]) -> str | None:
    """The arm that was found better than every other one, if there is one and the comparison is a fair one."""
    if mismatches:
        return None
    beaten = {(d.arm, d.reference) for d in differences if d.outcome == "better"}
    beaten |= {(d.reference, d.arm) for d in differences if d.outcome == "worse"}
    return next((one for one in arms if all((one, other) in beaten for other in arms if other != one)), None)


def leading(
    differences: Sequence[Difference], reference: str, controls: Collection[str] = (), *, named: bool = False
) -> list[Difference]:
    """The differences that the verdict tells, the primary one first.

    Args:
        differences: that are judged.
        reference: the arm that the others are judged against; what is said of it is told.
        controls: arms of real images in more views. A gain over real images alone may be one of the number of views, so
            what they say of an arm belongs beside it.
        named: whether they were named one by one, with --judge; all of them are told then.
    """
    told = [d for d in differences if named or d.primary or d.reference == reference or d.reference in controls]
    return sorted(told or differences, key=lambda d: not d.primary)


def headline(told: Sequence[Difference], mismatches: Sequence[str], num_comparisons: int) -> str:
    """The verdict, in a sentence for each difference that it tells.

    Args:
        told: see `leading`.
        mismatches: what the runs differ in beyond the regime.
        num_comparisons: that Holm's correction is for.
    """
    if mismatches:
        return "No winner is called: the runs differ in more than the regime."
    if not told:
        return "No winner is called: no two arms have a seed in common."
    return " ".join(sentence(difference, num_comparisons) for difference in told)


def sentence(difference: Difference, num_comparisons: int, mismatches: Sequence[str] = ()) -> str:
    """One difference and how sure it is."""
    arm, reference = capital(difference.arm), difference.reference
    mean, numbers = points(difference.spread.mean), interval_words(difference.spread)
    against = named(reference)
    if mismatches:
        return f"{arm}: {mean} points against {against}, not judged: the runs differ in more than the regime."
    if difference.outcome == "better":
        found = "helps" if reference == BASELINE else f"is better than {reference}"
        return f"{arm} {found}: {mean} points over {against} ({numbers})."
    if difference.outcome == "worse":
        found = "hurts" if reference == BASELINE else f"is worse than {reference}"
        return f"{arm} {found}: {mean} points against {against} ({numbers})."
    if difference.outcome == "none":
        return f"{arm}: no difference from {against} found, {mean} points ({numbers})."
    if difference.outcome == "unsettled":
        return (
            f"{arm}: unsettled, {mean} points against {against} ({numbers}); the interval leaves out 0, but "
            f"with Holm's correction for {num_comparisons} comparisons p is {difference.p_holm:.2g}."
        )
    return f"{arm}: {mean} points against {against}, and no winner is called ({numbers})."


def power_sentence(difference: Difference) -> str | None:
    """What the seeds could have found of a difference that was not found; None where it was, or nothing can be said."""
    smallest = detectable_difference(difference.spread)
    if difference.outcome not in ("none", "unsettled") or smallest is None:
        return None
    needed, n = seeds_needed(difference.spread), difference.spread.n
    seen = points(difference.spread.mean)
    if needed is None:
        more = f"for the one seen, {seen}, no number of seeds that is worth training would do"
    elif needed <= n:
        more = f"for the one seen, {seen}, they are as many as it takes"
    else:
        more = f"for the one seen, {seen}, {needed} seeds would do"
    pair = f"{capital(difference.arm)} vs {difference.reference}"
    return f"{pair}: these {n} seeds could have found a difference of {100 * smallest:.2g} points; {more}."


def interval_words(between: Spread) -> str:
    """An interval of a difference with the number of seeds, or why there is none."""
    seeds = f"{between.n} seed{'s' if between.n != 1 else ''}"
    if between.interval is not None:
        low, high = between.interval
        return f"{CONFIDENCE:.0%} interval {points(low)} to {points(high)}, paired over {seeds}"
    if between.n < MIN_SEEDS:
        return f"no interval from {seeds}; {MIN_SEEDS} are needed"
    return f"no interval: all {seeds} differ by the very same"


def points(difference: float) -> str:
    """A difference of accuracies in percentage points, with its sign."""
    text = f"{100 * difference:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Efficiency:
    """At which part of the labels an arm reaches what the reference does with all of them.

    Attributes:
        arm: its name.
        by_seed: for each seed that both have: the part, the smallest one that was asked if it begins above; None if it
            is not reached with any.
        fraction, interval: the mean over seeds and its interval, both of the logarithm; None unless each of `MIN_SEEDS`
            or more seeds reaches it, within the parts that were asked.
    """

    arm: str
    by_seed: tuple[float | None, ...]
    fraction: float | None = None
    interval: tuple[float, float] | None = None


def data_efficiency(
    curves: Mapping[str, Mapping[float, Mapping[int, float]]], reference: str, seeds: Sequence[int]
) -> list[Efficiency]:
    """For each arm but the reference, the part of the labels that matches it.

    Args:
        curves: accuracy by arm, label fraction and seed, the reference and 1 among them.
        reference: an arm.
        seeds: that all arms have.
    """
    found = []
    for arm, curve in curves.items():
        if arm == reference:
            continue
        fractions = sorted(curve)
        parts = tuple(
            matching_fraction(fractions, [curve[f][seed] for f in fractions], curves[reference][1.0][seed])
            for seed in seeds
        )
        inside = [math.log(part) for part in parts if part is not None and part > fractions[0]]
        between = spread(inside) if len(inside) == len(parts) and inside else None
        if between is None or between.interval is None:
            found.append(Efficiency(arm, parts))
        else:
            low, high = between.interval
            found.append(Efficiency(arm, parts, math.exp(between.mean), (math.exp(low), math.exp(high))))
    return found


def efficiency_sentence(found: Efficiency, fractions: Sequence[float], reference: str) -> str | None:
    """What `data_efficiency` found, in words; None where the seeds do not say that fewer labels are enough."""
    against = "the accuracy of " + named(reference) + " with all labels"
    seeds = len(found.by_seed)
    if seeds >= MIN_SEEDS and all(part == min(fractions) for part in found.by_seed):
        part = f"{percent(min(fractions))} of them or less"
        return f"{capital(found.arm)} reaches {against} at {part}, in each of {seeds} seeds."
    if found.interval is None or found.fraction is None or found.interval[1] >= 1:
        return None
    low, high = found.interval
    return (
        f"{capital(found.arm)} reaches {against} at about {percent(found.fraction)} of them ({CONFIDENCE:.0%} interval "
        f"{percent(low)} to {percent(high)}, of the logarithm, over {seeds} seeds)."
    )


def named(arm: str) -> str:
    """An arm in a sentence."""
    return "real images alone" if arm == BASELINE else arm


def capital(arm: str) -> str:
    """An arm at the beginning of a sentence."""
    return arm[:1].upper() + arm[1:]


def percent(fraction: float) -> str:
    """A part in percent, to two figures."""
    return f"{100 * fraction:.2g}%" if fraction < 0.995 else "100%"
