"""What the numbers say: outcomes follow from the interval, and no more is said."""

import numpy as np
import pytest
from scipy import stats

from synthcl.pipeline.comparison.statistics import seeds_needed
from synthcl.pipeline.comparison.verdict import (
    compare_arms,
    data_efficiency,
    default_pairs,
    headline,
    leading,
    meaning,
    power_sentence,
    winner,
)
from synthcl.pipeline.configs.arms import Arm


def compare_regimes(scores):
    """As a comparison of these regimes judges them."""
    arms = [Arm(name, name) for name in scores]
    reference = "real" if "real" in scores else arms[0].name
    return compare_arms(scores, default_pairs(arms, reference))


A = {0: 0.612, 1: 0.598, 2: 0.631, 3: 0.602}
B = {0: 0.601, 1: 0.595, 2: 0.611, 3: 0.604}


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_have_no_interval_and_no_winner(n):
    few = {seed: A[seed] for seed in range(n)}, {seed: B[seed] - 0.3 for seed in range(n)}
    (difference,) = compare_regimes({"real": few[1], "online": few[0]})
    assert difference.spread.interval is None and difference.p_value is None
    assert difference.outcome == "unknown"
    assert winner(["real", "online"], [difference], []) is None
    assert "no winner is called" in headline([difference], [], 1)


OUTCOMES = {
    "better": ({0: 0.70, 1: 0.71, 2: 0.702}, "better"),
    "worse": ({0: 0.50, 1: 0.51, 2: 0.502}, "worse"),
    "none": ({0: 0.60, 1: 0.62, 2: 0.59}, "none"),
}


@pytest.mark.parametrize(("scores", "outcome"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_an_outcome_follows_from_the_interval(scores, outcome):
    real = {0: 0.60, 1: 0.61, 2: 0.60}
    (difference,) = compare_regimes({"real": real, "online": scores})
    assert difference.outcome == outcome
    low, high = difference.spread.interval
    assert {"better": low > 0, "worse": high < 0, "none": low <= 0 <= high}[outcome]
    words = {"better": "Online helps", "worse": "Online hurts", "none": "no difference from real images alone found"}
    assert words[outcome] in headline([difference], [], 1)
    expected = {"better": "online", "worse": "real", "none": None}[outcome]
    assert winner(["real", "online"], [difference], []) == expected
    assert winner(["real", "online"], [difference], ["--batch-size: ..."]) is None


def test_an_interval_without_zero_is_unsettled_where_holm_disagrees():
    real = {0: 0.600, 1: 0.600, 2: 0.600}
    noisy = {0: 0.60, 1: 0.62, 2: 0.59}
    near = {0: 0.610, 1: 0.614, 2: 0.618}  # p about 0.03
    found = {(d.arm, d.reference): d for d in compare_regimes({"real": real, "offline": noisy, "online": near})}
    difference = found["online", "real"]
    assert difference.spread.interval[0] > 0 and difference.p_value < 0.05 < difference.p_holm
    assert difference.outcome == "unsettled"
    assert "unsettled" in headline(list(found.values()), [], 2)
    assert winner(["real", "offline", "online"], list(found.values()), []) is None


def test_the_verdict_tells_what_as_many_views_of_real_images_say_of_a_gain():
    scores = {
        "real": {0: 0.60, 1: 0.61, 2: 0.60},
        "real-4-views": {0: 0.72, 1: 0.73, 2: 0.721},
        "online": {0: 0.70, 1: 0.71, 2: 0.702},
    }
    found = compare_arms(scores, [("online", "real"), ("real-4-views", "real"), ("online", "real-4-views")])
    told = leading(found, "real", ["real-4-views"])
    words = headline(told, [], 3)
    assert "Online helps: +10.07 points over real images alone" in words
    assert "Online is worse than real-4-views: −1.97 points against real-4-views" in words
    assert [d.reference for d in told] == ["real", "real", "real-4-views"]
    assert len(leading(found, "real")) == 2


PAIRS = [("fresh", "real"), ("online", "real"), ("online", "fresh")]


def test_the_verdict_tells_what_was_named_whatever_the_order():
    scores = {"real": {0: 0.60, 1: 0.61, 2: 0.60}, "fresh": {0: 0.70, 1: 0.71, 2: 0.702}, "online": A}
    found = compare_arms(scores, PAIRS, primary=("online", "fresh"))
    assert [(d.arm, d.reference) for d in leading(found, "real")] == [PAIRS[2], *PAIRS[:2]], "the primary one first"
    assert headline(leading(found, "real"), [], 2).startswith("Online is worse than fresh: ")
    for pairs in (PAIRS[1:], PAIRS[:0:-1]):
        judged = compare_arms(scores, pairs)
        assert [(d.arm, d.reference) for d in leading(judged, "real", named=True)] == pairs
        assert [(d.arm, d.reference) for d in leading(judged, "real")] == [("online", "real")]
    assert leading(judged[1:], "offline") == judged[1:], "rather than nothing"


def test_only_more_views_than_others_have_are_a_control():
    real, online = Arm("real", "real"), Arm("online", "online")
    fewer = Arm("real-2-views", "real", {"views_per_image": 2})
    assert meaning(fewer, real, 4) == "what --views-per-image 2 changes in real"
    assert meaning(online, fewer, 4) is None and "in 2 views each" in meaning(online, fewer, 1)
    assert ("online", "real-2-views") not in default_pairs([real, fewer, online], "real", 4)


def test_regimes_are_compared_without_real_too():
    (difference,) = compare_regimes({"offline": B, "online": A})
    assert (difference.arm, difference.reference) == ("online", "offline")
    assert "real images" not in headline([difference], [], 1)


def test_a_comparison_and_its_reverse_are_one():
    """It is neither judged twice nor counted twice by Holm's correction."""
    scores = {"real": {0: 0.60, 1: 0.61, 2: 0.60}, "fresh": {0: 0.70, 1: 0.71, 2: 0.702}, "online": A}
    pairs = [("fresh", "real"), ("online", "real"), ("online", "fresh")]
    once = compare_arms(scores, pairs)
    assert compare_arms(scores, [*pairs, ("fresh", "online")]) == once
    named = compare_arms(scores, pairs, primary=("fresh", "online"))
    assert [(d.arm, d.reference) for d in named] == [*pairs[:2], ("fresh", "online")]
    assert named[2].primary and named[2].p_holm == named[2].p_value == once[2].p_value
    assert [d.p_holm for d in named[:2]] == [d.p_holm for d in compare_arms(scores, pairs[:2])]


UNFOUND = {
    "more are needed": ([0.010, 0.020, -0.005, 0.011], "13 seeds would do"),
    "none would do": ([0.010, -0.010, 0.0001, 0.0], "no number of seeds that is worth training would do"),
}


@pytest.mark.parametrize(("values", "words"), UNFOUND.values(), ids=UNFOUND.keys())
def test_what_the_seeds_could_have_found_is_told_of_a_difference_that_was_not(values, words):
    real = dict.fromkeys(range(len(values)), 0.5)
    (difference,) = compare_regimes({"real": real, "online": {i: 0.5 + value for i, value in enumerate(values)}})
    assert difference.outcome == "none"
    sentence = power_sentence(difference)
    assert "these 4 seeds could have found a difference of" in sentence and words in sentence


def test_seeds_that_are_just_enough_are_said_to_be():
    """Unsettled by Holm's correction alone: the seeds are as many as the one test takes, and not one fewer."""
    values = {0: 0.010, 1: 0.014, 2: 0.018}
    real = dict.fromkeys(values, 0.5)
    scores = {"real": real, "offline": {0: 0.50, 1: 0.52, 2: 0.49}, "online": {s: 0.5 + v for s, v in values.items()}}
    difference = next(d for d in compare_regimes(scores) if (d.arm, d.reference) == ("online", "real"))
    assert difference.outcome == "unsettled" and seeds_needed(difference.spread) == 3
    assert "they are as many as it takes" in power_sentence(difference)


def test_data_efficiency_by_hand():
    """The part of the labels at which each seed's curve crosses the reference with all labels, on a log scale."""
    real = {0.01: {0: 0.2, 1: 0.2, 2: 0.2}, 0.1: {0: 0.4, 1: 0.4, 2: 0.4}, 1.0: {0: 0.5, 1: 0.5, 2: 0.5}}
    online = {0.01: {0: 0.4, 1: 0.45, 2: 0.3}, 0.1: {0: 0.5, 1: 0.55, 2: 0.6}, 1.0: {0: 0.6, 1: 0.6, 2: 0.6}}
    (found,) = data_efficiency({"real": real, "online": online}, "real", [0, 1, 2])
    logs = [-1.0, -1.5, -2 + 2 / 3]  # base 10
    assert found.by_seed == pytest.approx([10**log for log in logs])
    assert found.fraction == pytest.approx(10 ** (sum(logs) / 3))
    between = stats.t.interval(0.95, 2, np.mean(logs), stats.sem(logs))
    assert found.interval == pytest.approx([10**log for log in between])


@pytest.mark.parametrize("level, part", [(0.3, None), (0.6, 0.01)])
def test_an_arm_that_a_seed_leaves_out_of_the_curve_has_parts_and_no_mean(level, part):
    """The last seed never reaches the reference, or does so with the fewest labels: nobody knows where between."""
    real = {0.01: {0: 0.2, 1: 0.2}, 0.1: {0: 0.4, 1: 0.4}, 1.0: {0: 0.5, 1: 0.5}}
    online = {fraction: {0: own, 1: level} for fraction, own in [(0.01, 0.4), (0.1, 0.5), (1.0, 0.6)]}
    (found,) = data_efficiency({"real": real, "online": online}, "real", [0, 1])
    assert found.by_seed == (pytest.approx(0.1), part)
    assert found.fraction is None and found.interval is None
