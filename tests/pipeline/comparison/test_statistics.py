"""Paired statistics against scipy and by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from synthcl.pipeline.comparison.statistics import (
    POWER,
    detectable_difference,
    matching_fraction,
    num_corrected,
    paired_difference,
    power,
    seeds_needed,
    spread,
    with_holm,
)
from synthcl.pipeline.comparison.verdict import compare_arms, default_pairs
from synthcl.pipeline.configs.arms import Arm


def compare_regimes(scores):
    """As a comparison of these regimes judges them."""
    arms = [Arm(name, name) for name in scores]
    reference = "real" if "real" in scores else arms[0].name
    return compare_arms(scores, default_pairs(arms, reference))


A = {0: 0.612, 1: 0.598, 2: 0.631, 3: 0.602}
B = {0: 0.601, 1: 0.595, 2: 0.611, 3: 0.604}


def test_the_interval_and_p_are_those_of_scipys_paired_test():
    found = paired_difference("online", "real", A, B)
    reference = stats.ttest_rel(list(A.values()), list(B.values()))
    interval = reference.confidence_interval(0.95)
    assert found.spread.mean == pytest.approx(np.mean(list(A.values())) - np.mean(list(B.values())))
    assert found.spread.interval == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(reference.pvalue)


def test_pairs_are_the_seeds_that_both_have():
    found = paired_difference("online", "real", A, {1: 0.5, 3: 0.5, 9: 0.5})
    assert found.seeds == (1, 3)
    assert found.values == pytest.approx((0.098, 0.102))
    assert paired_difference("online", "real", A, {9: 0.5}) is None


def test_equal_differences_claim_no_certainty():
    assert spread([0.01, 0.01, 0.01]).interval is None
    assert spread([0.1 + 0.2, 0.3, 0.3]).interval is None  # equal but for rounding
    assert spread([0.0, 0.0, 0.0]).interval == (0.0, 0.0)
    (same,) = compare_regimes({"real": B, "online": B})
    assert same.outcome == "none" and same.p_value == 1


def test_holm_by_hand():
    base = paired_difference("online", "real", A, B)

    given = [replace(base, p_value=p) for p in (0.01, 0.04, 0.03)] + [replace(base, p_value=None)]
    assert [d.p_holm for d in with_holm(given)] == pytest.approx([0.03, 0.06, 0.06, None])


def test_the_comparison_named_beforehand_needs_no_correction():
    base = paired_difference("online", "real", A, B)
    others = [replace(base, reference=name, p_value=p) for name, p in (("fresh", 0.02), ("offline", 0.03))]
    found = with_holm([replace(base, p_value=0.04), *others], ("online", "real"))
    assert [d.p_holm for d in found] == pytest.approx([0.04, 0.04, 0.04])
    assert [d.primary for d in found] == [True, False, False] and num_corrected(found) == 2


@pytest.mark.parametrize(
    ("difference", "num_seeds"), [(0.0, 6), (0.02, 3), (0.015, 6), (-0.015, 6)], ids=["none", "few", "six", "below"]
)
def test_power_is_how_often_the_test_of_so_many_seeds_finds_the_difference(difference, num_seeds):
    trials = 40_000
    drawn = np.random.default_rng(0).normal(difference, 0.01, (trials, num_seeds))
    found = (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    error = math.sqrt(0.25 / trials)
    assert power(difference, 0.01, num_seeds) == pytest.approx(found, abs=4 * error)


@pytest.mark.parametrize(
    ("deviations", "num_seeds"), [(0.2, 199), (0.5, 34), (0.8, 15)], ids=["small", "medium", "large"]
)
def test_the_seeds_needed_are_those_of_published_tables(deviations, num_seeds):
    """Of paired t-tests at 5%, two-sided, and a power of .8: Cohen's small, medium and large differences (G*Power)."""
    pattern = np.array([-1.0, 0.0, 1.0])  # of a standard deviation of 1
    between = spread(0.01 * (deviations + pattern))
    assert seeds_needed(between) == num_seeds
    assert (
        power(between.mean, between.deviation, num_seeds)
        >= POWER
        > power(between.mean, between.deviation, num_seeds - 1)
    )


def test_the_detectable_difference_is_found_with_the_power_that_is_asked():
    between = spread([0.01, 0.02, 0.0, 0.015, 0.005])
    assert power(detectable_difference(between), between.deviation, 5) == pytest.approx(POWER)
    nearly_none = spread([-0.01, 0.0, 0.0100001])
    assert seeds_needed(nearly_none) is None and detectable_difference(nearly_none) > 0.01
    for few in ([0.01, 0.02], [0.01, 0.01, 0.01]):
        assert seeds_needed(spread(few)) is None and detectable_difference(spread(few)) is None


def test_the_matching_fraction_is_linear_in_the_logarithm():
    fractions, values = [0.01, 0.1, 1.0], [0.2, 0.4, 0.5]
    assert matching_fraction(fractions, values, 0.3) == pytest.approx(math.sqrt(0.01 * 0.1))
    assert matching_fraction(fractions, values, 0.4) == pytest.approx(0.1)
    assert matching_fraction(fractions, values, 0.5) == pytest.approx(1)
    assert matching_fraction(fractions, values, 0.2) == 0.01
    assert matching_fraction(fractions, values, 0.51) is None
    # A curve that dips below and rises again is matched where it first arrives.
    assert matching_fraction([0.01, 0.1, 1.0], [0.2, 0.6, 0.5], 0.5) == pytest.approx(10 ** (-2 + 0.75))
