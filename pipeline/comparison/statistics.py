"""How sure a comparison is: differences paired over seeds, and the part of the labels that matches a baseline.

Runs of one seed share the order of images, the views' randomness, the first weights and the labeled part, so their
difference varies less than either. The interval is Student's, of the mean difference; with fewer than `MIN_SEEDS` pairs
there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import optimize, stats

from ..evaluation.accuracy import CONFIDENCE, mean_interval

MIN_SEEDS = 3
"""Fewer pairs have no interval: with two, the 95% one is 12.7 standard errors to each side."""


@dataclass(frozen=True)
class Spread:
    """Values over seeds.

    Attributes:
        n, mean: of them.
        deviation: their standard deviation (n - 1); None for one value.
        interval: of the mean, at `CONFIDENCE`; None where it cannot be had.
    """

    n: int
    mean: float
    deviation: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """One arm less another, paired over the seeds that both have.

    Attributes:
        arm, reference: the names of which.
        seeds, values: the differences by seed.
        spread: of the values.
        p_value: of Student's paired test, two-sided; None without an interval.
        p_holm: the same after Holm's correction for all comparisons made together.
        primary: whether it is the one that was named beforehand, and so is judged by itself: `p_holm` is `p_value`.
    """

    arm: str
    reference: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    spread: Spread
    p_value: float | None
    p_holm: float | None = None
    primary: bool = False

    @property
    def outcome(self) -> str:
        """`better`, `worse`, `none` (no difference found), `unsettled` (the interval leaves 0 out, which after Holm's
        correction is not enough), or `unknown` (no interval)."""
        if self.spread.interval is None or self.p_holm is None:
            return "unknown"
        low, high = self.spread.interval
        if low <= 0 <= high:
            return "none"
        if self.p_holm > 1 - CONFIDENCE:
            return "unsettled"
        return "better" if low > 0 else "worse"


def spread(values: Sequence[float]) -> Spread:
    """Mean, deviation and interval of values over seeds.

    Equal values other than 0 have no interval: steps of one test image can hide what varies, and a width of zero would
    claim a certainty that is not there.
    """
    n, mean = len(values), float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) if n > 1 else None
    if deviation is None or n < MIN_SEEDS or (_is_zero(deviation, values) and not _is_zero(mean, values)):
        return Spread(n, mean, deviation, None)
    low, high = mean_interval(values)
    return Spread(n, mean, deviation, (low, high))


def _is_zero(value: float, values: Sequence[float]) -> bool:
    """Zero but for rounding at the size of the values."""
    return abs(value) <= 1e-12 * max(1.0, max(map(abs, values)))


def paired_difference(
    arm: str, reference: str, own: Mapping[int, float], other: Mapping[int, float]
) -> Difference | None:
    """An arm's values less another's, by seed; None if they have no seed in common."""
    seeds = tuple(sorted(set(own) & set(other)))
    if not seeds:
        return None
    values = tuple(own[seed] - other[seed] for seed in seeds)
    between = spread(values)
    p_value = None
    if between.interval is not None and between.deviation is not None:
        error = between.deviation / math.sqrt(between.n)
        p_value = 2 * float(stats.t.sf(abs(between.mean) / error, between.n - 1)) if error > 0 else 1.0
    return Difference(arm, reference, seeds, values, between, p_value)


def with_holm(differences: Sequence[Difference], primary: tuple[str, str] | None = None) -> list[Difference]:
    """The same with `p_holm`, over all those that have a p-value (Holm 1979).

    Args:
        differences: what is judged.
        primary: arm and reference of the one comparison that was named beforehand, which is judged by itself.
    """
    named = [(d.arm, d.reference) == primary for d in differences]
    order = sorted((d.p_value, i) for i, d in enumerate(differences) if d.p_value is not None and not named[i])
    adjusted = {i: d.p_value for i, d in enumerate(differences) if named[i]}
    largest = 0.0
    for rank, (p_value, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_value))
        adjusted[index] = largest
    return [replace(d, p_holm=adjusted.get(i), primary=named[i]) for i, d in enumerate(differences)]


POWER = 0.8
"""The power with which a difference is to be found: the customary value (Cohen 1988, Statistical Power Analysis,
section 2.4)."""
MOST_SEEDS = 1000
"""Above which the number of seeds is not worked out. Ours."""


def power(difference: float, deviation: float, num_seeds: int) -> float:
    """The probability that a paired t-test of n seeds, two-sided at 1 - `CONFIDENCE`, finds a true difference d.

    With s the standard deviation of paired differences, the test's statistic is then noncentral t with n - 1 degrees of
    freedom and noncentrality d sqrt(n) / s; the probability is that of its being beyond the critical value on either
    side (Cohen 1988, Statistical Power Analysis, section 2.2).

    Args:
        difference: d, in the units of `deviation`.
        deviation: s, above 0.
        num_seeds: n, 2 or more.
    """
    freedom = num_seeds - 1
    critical = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
    center = abs(difference) * math.sqrt(num_seeds) / deviation
    other_side = stats.nct.cdf(-critical, freedom, center)  # scipy gives nan where it is far below rounding
    return float(stats.nct.sf(critical, freedom, center) + np.nan_to_num(other_side))


def detectable_difference(between: Spread) -> float | None:
    """The smallest true difference that so many seeds find with a probability of `POWER`, if paired differences vary as
    they did; None without an interval, or where they did not vary."""
    if between.interval is None or not between.deviation:
        return None
    deviation, n = between.deviation, between.n
    return float(optimize.brentq(lambda d: power(d, deviation, n) - POWER, 0, 100 * deviation))


def seeds_needed(between: Spread) -> int | None:
    """How many seeds find a true difference as large as the one seen, with a probability of `POWER`; None without an
    interval, where there is no difference, or if they are more than `MOST_SEEDS`."""
    if between.interval is None or not between.deviation or _is_zero(between.mean, [between.mean]):
        return None
    mean, deviation = between.mean, between.deviation
    if power(mean, deviation, MOST_SEEDS) < POWER:
        return None
    low, high = MIN_SEEDS - 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(mean, deviation, middle) >= POWER else (middle, high)
    return high


def num_corrected(differences: Sequence[Difference]) -> int:
    """How many comparisons Holm's correction is for."""
    return sum(not d.primary and d.p_value is not None for d in differences)


def matching_fraction(fractions: Sequence[float], values: Sequence[float], target: float) -> float | None:
    """The smallest part of the labels at which a curve reaches `target`, between points linear in the logarithm.

    Args:
        fractions: ascending, in (0, 1].
        values: the curve at them.
        target: what to reach.

    Returns:
        The fraction (the smallest one, if the curve begins at or above the target), or None if it is not reached.
    """
    if values[0] >= target:
        return fractions[0]
    for (left, low), (right, high) in pairwise(zip(fractions, values, strict=True)):
        if high >= target:
            part = (target - low) / (high - low)
            return math.exp(math.log(left) + part * (math.log(right) - math.log(left)))
    return None
