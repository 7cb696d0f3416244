"""Every difference beyond the regime is found, and no other."""

import pytest

from synthcl.pipeline.comparison.matching import mismatches, other_conditions, unmatched_seeds


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


HARMLESS = {
    "where it computes": ("real", {"cache": "none"}),
    "an option of online in real": ("real", {"pair_ema_decay": 0.5}),
    "an option of synthetic samples in real": ("real", {"synthetic_ratio": 1.0}),
    "a recording": ("online", {"record": "there"}),
    "the same length in epochs": ("real", {"steps": None, "epochs": 1}),
}


@pytest.mark.parametrize(("regime", "options"), HARMLESS.values(), ids=HARMLESS.keys())
def test_options_that_change_nothing_are_let_be(fair, make_run, regime, options):
    assert mismatches([*fair, make_run(regime, 3, **options)], "steps") == []


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
    assert line.startswith("weights of the generator: 'aaaa") and "'bbbbbbbbbbbb' in online seed 4" in line
