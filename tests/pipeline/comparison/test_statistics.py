"""Paired statistics against scipy and by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from synthcl.pipeline.comparison.statistics import (
    matching_fraction,
    num_corrected,
    paired_difference,
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


def test_the_matching_fraction_is_linear_in_the_logarithm():
    fractions, values = [0.01, 0.1, 1.0], [0.2, 0.4, 0.5]
    assert matching_fraction(fractions, values, 0.3) == pytest.approx(math.sqrt(0.01 * 0.1))
    assert matching_fraction(fractions, values, 0.4) == pytest.approx(0.1)
    assert matching_fraction(fractions, values, 0.5) == pytest.approx(1)
    assert matching_fraction(fractions, values, 0.2) == 0.01
    assert matching_fraction(fractions, values, 0.51) is None
    # A curve that dips below and rises again is matched where it first arrives.
    assert matching_fraction([0.01, 0.1, 1.0], [0.2, 0.6, 0.5], 0.5) == pytest.approx(10 ** (-2 + 0.75))
