"""What a report says of itself is true of the runs that it is of."""

import dataclasses

import pytest

from synthcl.pipeline.comparison.caveats import caveats, what_next


@pytest.mark.parametrize(
    ("real_views", "said"),
    [
        (2, "online shows the learner 2 times as many views as real"),
        (3, "online shows the learner 1.3 times as many views as real"),
        (4, None),
    ],
)
def test_a_gain_that_may_be_that_of_more_views_is_said(make_comparison, make_run, real_views, said):
    comparison = make_comparison(num_seeds=3)
    runs = [
        make_run(run.regime, run.seed, label="real", views_per_image=real_views) if run.regime == "real" else run
        for run in comparison.runs
    ]
    counted = [
        dataclasses.replace(run, result={**run.result, "num_synthetic": 32 if run.regime == "online" else 0})
        for run in runs
    ]
    found = [text for text in what_next(dataclasses.replace(comparison, runs=counted)) if "as many views" in text]
    if said is None:
        assert not found
    else:
        assert found[0].startswith(said) and "real-equal-views" in found[0]


GENERATORS = {
    "one": ({}, {}, ["offline and of online share one generator", "offline share one offline set"]),
    "one of each seed": ({0: "a", 1: "b", 2: "c"}, {}, ["offline share one offline set"]),
    "one, a set of each seed": ({}, {0: "d", 1: "e", 2: "f"}, ["offline and of online share one generator"]),
    "of each seed, both": ({0: "a", 1: "b", 2: "c"}, {0: "d", 1: "e", 2: "f"}, []),
}


@pytest.mark.parametrize(("generators", "sets", "said"), GENERATORS.values(), ids=GENERATORS.keys())
def test_only_what_all_seeds_share_is_said_to_be_shared(make_comparison, generators, sets, said):
    comparison = make_comparison()
    own = {
        "real": lambda seed: {},
        "offline": lambda seed: {"generator_hash": generators.get(seed, "a"), "set_hashes": [sets.get(seed, "d")]},
        "online": lambda seed: {"generator_hash": generators.get(seed, "a")},
    }
    runs = [dataclasses.replace(run, result={**run.result, **own[run.name](run.seed)}) for run in comparison.runs]
    found = [text for text in caveats(dataclasses.replace(comparison, runs=runs)) if "share one" in text]
    assert [text.removeprefix("All seeds of ").partition(":")[0] for text in found] == said


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ((0, 1, 2, 3), ["Intervals are Student's over 4 seeds"]),
        ((0, 1, 2), ["Intervals are Student's over 3 or 4 seeds"]),
        ((0, 1), ["2 seeds say too little", "Intervals are Student's over 4 seeds"]),
        ((0,), ["One seed says too little", "Intervals are Student's over 4 seeds"]),
    ],
)
def test_seeds_are_those_that_differences_are_over(make_comparison, kept, said):
    """Of four seeds, of which offline lacks some."""
    comparison = make_comparison(num_seeds=4)
    there = {part: [one for one in getattr(comparison, part) if _arm(one) != "offline" or one.seed in kept]
             for part in ("runs", "answers")}  # fmt: skip
    found = caveats(dataclasses.replace(comparison, **there))
    assert all(text.startswith(words) for text, words in zip(found, said, strict=False))
    assert sum("Student's" in text or "too little" in text for text in found) == len(said)


def _arm(one):
    return one.name if hasattr(one, "name") else one.arm


def test_what_decides_is_said(make_comparison):
    comparison = make_comparison()
    assert caveats(comparison)[-1].endswith(
        "also holds with Holm's correction. kNN, parts of the labels, transfer and corrupted images decide nothing."
    )
    comparison.config.primary, comparison.config.metric = "online-real", "knn"
    assert caveats(comparison)[-1].endswith(
        "Holm's correction, but for online vs real, which was named beforehand and is judged by itself. "
        "The linear probe, parts of the labels, transfer and corrupted images decide nothing."
    )


def test_a_comparison_that_is_alone_has_no_correction(make_comparison):
    comparison = make_comparison()
    for judge, said in (
        (["online-real"], "One"),
        (["online-real", "offline-real"], "Each"),
    ):
        comparison.config.judge, comparison.config.primary = judge, "online-real"
        words = caveats(comparison)[-1]
        assert words.startswith(f"{said} comparison is judged, by itself: an arm is called better or worse if the")
        assert "Holm" not in words
