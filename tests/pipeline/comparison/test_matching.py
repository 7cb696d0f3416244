"""Every difference beyond the regime is found, and no other."""

import pytest

from synthcl.pipeline.comparison.matching import (
    generators_of_seeds,
    images_through_learner,
    mismatches,
    other_conditions,
    unmatched_seeds,
)
from synthcl.pipeline.configs.arms import parse_arms


@pytest.fixture
def fair(make_run):
    return [make_run(regime, seed) for regime in ("real", "offline", "fresh", "online") for seed in (0, 1, 2)]


def test_runs_that_differ_in_regime_and_seed_alone_match(fair, make_run):
    assert mismatches(fair, "steps") == []
    replays = [make_run("replay", seed, replay=f"recording-{seed}") for seed in (0, 1)]
    assert mismatches([*fair, *replays], "steps") == []


MATTERS = {
    "batch_size": ("real", {"batch_size": 32}),
    "learner": ("real", {"learner": "moco"}),
    "data": ("real", {"data": "elsewhere"}),
    "a part of the data": ("real", {"data": "digits[:10%]"}),
    "another choice": ("offline", {"data": "digits[:10%,shuffled]"}),
    "precision": ("offline", {"precision": "bf16"}),
    "shards": ("offline", {"shards": ["others"]}),
    "synthetic_ratio": ("offline", {"synthetic_ratio": 1.0}),
    "generator": ("online", {"generator": "another"}),
    "pair_ema_decay": ("online", {"pair_ema_decay": 0.5}),
}


@pytest.mark.parametrize(("regime", "options"), MATTERS.values(), ids=MATTERS.keys())
def test_an_option_that_differs_is_named_with_values_and_runs(fair, make_run, regime, options):
    runs = [*fair, make_run(regime, 3, **options)]
    (line,) = mismatches(runs, "steps")
    ((name, value),) = options.items()
    assert line.startswith("--" + name.replace("_", "-"))
    assert repr(value) in line and f"{regime} seed 3" in line


def with_generators(make_run, generators, labels=("fresh", "online")):
    """Runs of `labels`, of the seeds and with the generators that are given for each."""
    return [
        make_run(regime, seed, generator=name, result={"generator_hash": f"{name:*<20}"})
        for regime in labels
        for seed, name in enumerate(generators[regime])
    ]


def test_a_generator_for_each_seed_is_no_difference_and_is_said(make_run):
    runs = with_generators(make_run, {"fresh": "abc", "online": "abc"})
    real = [make_run("real", seed) for seed in range(3)]
    assert mismatches([*real, *runs], "steps") == []
    assert generators_of_seeds([*real, *runs]) == [
        "each seed has a generator of its own: the intervals cover the choice of the generator too"
    ]


OF_ARMS = {
    "another in one arm": {"fresh": "abc", "online": "abx"},
    "one for two seeds": {"fresh": "aab", "online": "aab"},
    "a seed that one arm lacks": {"fresh": "ab", "online": "abc"},
}


@pytest.mark.parametrize("generators", OF_ARMS.values(), ids=OF_ARMS.keys())
def test_generators_that_do_not_go_with_the_seeds_are_a_difference(make_run, generators):
    runs = with_generators(make_run, generators)
    lines = mismatches(runs, "steps")
    assert [line.partition(":")[0] for line in lines] == ["--generator", "generator, its class and weights"]
    assert generators_of_seeds(runs) == []


HARMLESS = {
    "where it computes": ("real", {"cache": "none"}),
    "an option of online in real": ("real", {"pair_ema_decay": 0.5}),
    "an option of synthetic samples in real": ("real", {"synthetic_ratio": 1.0}),
    "a recording": ("online", {"record": "there"}),
    "a recording of fresh samples": ("fresh", {"record": "there"}),
    "the same length in epochs": ("real", {"steps": None, "epochs": 1}),
}


@pytest.mark.parametrize(("regime", "options"), HARMLESS.values(), ids=HARMLESS.keys())
def test_options_that_change_nothing_are_let_be(fair, make_run, regime, options):
    assert mismatches([*fair, make_run(regime, 3, **options)], "steps") == []


def test_labels_may_differ_in_what_their_regime_means_and_in_nothing_else(fair, make_run):
    nohard = [make_run("online", seed, label="nohard", hard=False, pair_ema_decay=0.5) for seed in (0, 1)]
    assert mismatches([*fair, *nohard], "steps") == []
    uneven = make_run("online", 2, label="nohard", hard=True)
    (decay, hard) = mismatches([*fair, *nohard, uneven], "steps")
    assert decay.startswith("--pair-ema-decay") and hard.startswith("--hard: False in nohard seed 0, nohard seed 1")
    larger = make_run("online", 0, label="large", batch_size=32)
    (line,) = mismatches([*fair, larger], "steps")
    assert line.startswith("--batch-size") and "32 in large seed 0" in line


@pytest.mark.parametrize(
    ("arm", "options", "result"),
    [
        ("large: --batch-size 32", {"batch_size": 32}, {}),
        ("long: --steps 8", {"steps": 8}, {"steps": 8}),
        ("half: --data digits[:50%]", {"data": "digits[:50%]"}, {"num_images": 721}),
    ],
)
def test_what_an_arm_declares_is_its_own(fair, make_run, arm, options, result):
    (declared,) = parse_arms([arm])
    own = [make_run("real", s, label=declared.name, declared=[declared], result=result, **options) for s in (0, 1)]
    assert mismatches([*fair, *own], "steps") == []
    assert mismatches([*fair, make_run("real", 3, label="other", result=result, **options)], "steps")
    assert mismatches([*fair, *own, make_run("real", 2, label=declared.name, declared=[declared])], "steps")


def test_a_run_that_joins_an_arm_declares_what_the_arm_does(fair, make_run):
    (arm,) = parse_arms(["nohard: online --no-hard"])
    own = [make_run("online", s, label="nohard", declared=[arm], hard=False) for s in (0, 1)]
    assert mismatches([*fair, *own], "steps") == []
    other = make_run("online", 2, label="nohard", declared=[arm], hard=False, pair_ema_decay=0.5)
    (line,) = mismatches([*fair, *own, other], "steps")
    assert line.startswith("--pair-ema-decay: 0.999 in") and line.endswith("0.5 in nohard seed 2")


def test_real_images_in_more_views_are_an_arm_by_name(fair, make_run):
    more = make_run("real", 0, label="real-4-views", views_per_image=4)
    assert mismatches([*fair, more], "steps") == []
    assert more.arm.flags == "--views-per-image 4"
    assert images_through_learner(more) == 2 * images_through_learner(fair[0])


def test_unequal_budgets_and_images_are_named(fair, make_run):
    longer = make_run("online", 3, result={"steps": 8})
    assert "optimizer steps" in mismatches([*fair, longer], "steps")[0]
    assert "seconds of training" in mismatches([*fair, make_run("online", 3, result={"seconds": 9.0})], "seconds")[0]
    others = make_run("real", 3, result={"num_images": 7})
    assert "training images" in mismatches([*fair, others], "steps")[0]


def test_equal_images_count_both_of_a_pair(make_run):
    real = make_run("real", 0, result={"steps": 8})  # 8 x 16 images
    online = make_run("online", 0)  # 4 x 16 and 2 x 32
    assert mismatches([real, online], "images") == []
    assert "images through the learner" in mismatches([make_run("real", 0), online], "images")[0]


def test_lacking_seeds_and_other_machines_are_said(fair, make_run):
    assert unmatched_seeds(fair) == [] and other_conditions(fair) == []
    elsewhere = make_run("real", 3, environment={"hardware": {"device": "H100"}})
    runs = [*fair, elsewhere]
    assert ["offline has no run of seed 3" in line for line in unmatched_seeds(runs)] == [True, False, False]
    (line,) = other_conditions(runs)
    assert "device" in line and "H100" in line
    assert mismatches(runs, "steps") == []


def test_a_run_that_was_extended_is_no_equal_of_one_in_one_go(fair, make_run):
    changes = [{"at": 2, "from": 2, "to": 4, "learning_rate": [0.0, 0.1]}]
    extended = make_run("online", 3, result={"extended_from": [2], "length_changes": changes})
    (line,) = mismatches([*fair, extended], "steps")
    assert "'in one go' in real seed 0" in line and "'extended from 2 to 4 steps' in online seed 3" in line
    assert (
        mismatches([make_run(regime, 3, result={"length_changes": changes}) for regime in ("real", "online")], "steps")
        == []
    )


def test_a_generator_that_was_trained_on_under_its_path_is_another(fair, make_run):
    """Records of earlier versions, and of real images, have no hash."""
    same = [make_run(regime, 3, result={"generator_hash": "a" * 64}) for regime in ("fresh", "online")]
    assert mismatches([*fair, *same], "steps") == []
    (line,) = mismatches([*fair, *same, make_run("online", 4, result={"generator_hash": "b" * 64})], "steps")
    assert line.startswith("generator, its class and weights: 'aaaa") and "'bbbbbbbbbbbb' in online seed 4" in line


def trained_with_adapters(make_run, seed):
    """A run of fresh, one of online whose adapters begin with factors of the seed's, and a replay of its recording."""
    opened, adapted = "a" * 64, f"{seed}" * 64
    return [
        make_run("fresh", seed, result={"generator_hash": opened}),
        make_run("online", seed, result={"generator_hash": opened, "generator_hash_in_training": adapted}),
        make_run("replay", seed, replay=f"recording-{seed}", result={"generator_hash": adapted}),
    ]


def test_a_generator_is_the_same_with_adapters_in_it_which_are_all_that_recordings_know(make_run):
    runs = [run for seed in (1, 2) for run in trained_with_adapters(make_run, seed)]
    assert mismatches(runs, "steps") == [] and generators_of_seeds(runs) == []
    before = [make_run(regime, 7, result={"generator_hash": "7" * 64}) for regime in ("online", "replay")]
    assert mismatches(before, "steps") == []


def test_two_versions_of_a_learner_are_a_difference(fair, make_run):
    runs = [make_run("real", seed, result={"learner_code": code}) for seed, code in ((0, "a"), (1, "b"))]
    (line,) = mismatches(runs, "steps")
    assert line == "the learner's code: 'a' in real seed 0; 'b' in real seed 1"
    alike = [make_run(regime, 3, result={"learner_code": "a"}) for regime in ("real", "fresh")]
    assert mismatches([*fair, *alike], "steps") == []


def test_one_set_of_weights_that_draws_in_two_ways_is_a_difference(fair, make_run):
    ways = {"fresh": "DDPMScheduler in 1000 steps", "online": "dpm in 20 steps"}
    runs = [make_run(regime, 3, result={"generator_sampling": ways[regime], "generator_hash": "a"}) for regime in ways]
    (line,) = mismatches([*fair, *runs], "steps")
    assert line.startswith("how the generator draws: 'DDPMScheduler in 1000 steps' in fresh seed 3")
    alike = [make_run(regime, 4, result={"generator_sampling": "x", "generator_hash": "a"}) for regime in ways]
    assert mismatches([*fair, *alike], "steps") == []
