"""Runs as a comparison reads them: which are refused, what a label makes of one, and their order."""

import json

import pytest

from synthcl.pipeline.comparison.runs import by_arm, in_order, read_labelled, read_run
from synthcl.pipeline.configs.arms import parse_arms
from synthcl.pipeline.errors import DataError, UsageError


def test_a_run_is_read_with_what_came_of_it(make_run):
    run = read_run(make_run("online", 3, hard_weight=0.3).path)
    assert (run.regime, run.name, run.seed, run.config.hard_weight) == ("online", "online", 3, 0.3)
    assert run.result["num_synthetic"] == 32 and run.record["hardware"] == {"device": "cpu"}
    assert [row["step"] for row in run.metrics()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("regime", "now", "before"),
    [
        ("offline", "shards_per_window: null", "shards_per_window: 8"),  # the default when windows were for URLs alone
        ("online", "discriminator_augment: auto", "discriminator_augment: null"),  # when it had no name
    ],
)
def test_a_run_of_before_is_read_as_what_it_was(make_run, regime, now, before):
    run = make_run(regime, 0)
    config = run.path / "config.yaml"
    assert f"{now}\n" in config.read_text()
    config.write_text(config.read_text().replace(f"{now}\n", f"{before}\n"))
    assert read_run(run.path).config == run.config


def of_pretrain(path):
    (path / "run.json").write_text(json.dumps({"command": "pretrain"}))


def unfinished(path):
    (path / "result.json").unlink()


def of_another_version(path):
    (path / "config.yaml").write_text((path / "config.yaml").read_text() + "colour: red\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (of_pretrain, "is a run of `synthcl pretrain`; give runs of `synthcl train`"),
        (unfinished, "is not finished; run its command again first"),
        (of_another_version, r"config\.yaml is damaged, or of another version of synthcl: .*colour"),
    ],
)
def test_what_cannot_be_compared_is_named(make_run, damage, message):
    path = make_run("real", 0).path
    damage(path)
    with pytest.raises(DataError, match=message) as error:
        read_run(path)
    assert str(path) in str(error.value)


def test_labels_make_arms(make_run):
    path = make_run("online", 0, hard_weight=0.1).path
    declared = {arm.name: arm for arm in parse_arms(["soft: online --hard-weight 0.1"])}
    plain, free, known = read_labelled([str(path), f"mine={path}", f"soft={path}"], declared)
    assert (plain.name, plain.arm.free) == ("online", False)
    assert (free.name, free.arm.free, free.arm.regime) == ("mine", True, "online")
    assert known.arm == declared["soft"]


IS = {
    "an option": ("online", "nohard: online --no-hard", {"hard": False}, {}),
    "steps": ("real", "long: --steps 8", {"steps": 8}, {"steps": 8}),
    "epochs of a run that was given steps": ("real", "long: --epochs 2", {"steps": 180}, {"epochs": 2.0}),
    "where it computes": ("real", "a: --cache none", {}, {}),
    "a recording": ("replay", "again: replay --replay online", {}, {}),
    "views": ("real", "real-4-views: --views-per-image 4", {"views_per_image": 4}, {}),
}
IS_NOT = {
    "an option": ("online", "nohard: online --no-hard", {}, "has --hard, and the arm is 'nohard: online --no-hard'"),
    "one that it has not": ("online", "x: online --pair-floor 0.5", {}, "has no --pair-floor, and the arm is 'x: "),
    "steps": ("real", "long: --steps 8", {}, "has --steps 4, and the arm is 'long: real --steps 8'"),
    "epochs": ("real", "long: --epochs 2", {}, "has --epochs 0.1, and the arm is"),
    "views": ("real", "real-4-views: --views-per-image 4", {}, "has --views-per-image 2, and the arm is 'real-4-views"),
}


@pytest.mark.parametrize(("regime", "text", "options", "result"), IS.values(), ids=IS.keys())
def test_a_run_is_of_an_arm_that_it_has_the_options_of(make_run, regime, text, options, result):
    (arm,) = parse_arms([text])
    run = make_run(regime, 0, result=result, **options)
    (found,) = read_labelled([f"{arm.name}={run.path}"], {arm.name: arm})
    assert found.arm == arm


@pytest.mark.parametrize(("regime", "text", "options", "message"), IS_NOT.values(), ids=IS_NOT.keys())
def test_a_run_that_is_not_what_its_arm_declares_is_refused(make_run, regime, text, options, message):
    (arm,) = parse_arms([text])
    run = make_run(regime, 0, **options)
    declared = {} if arm.name.startswith("real-") else {arm.name: arm}
    with pytest.raises(UsageError, match=f"--run {arm.name}={run.path} {message}"):
        read_labelled([f"{arm.name}={run.path}"], declared)


def test_as_many_views_as_others_are_as_many_as_the_run_has(make_run):
    run = make_run("real", 0, views_per_image=3)
    (found,) = read_labelled([f"real-equal-views={run.path}"], {})
    assert found.arm.options == {"views_per_image": 3}


def test_regimes_come_in_their_order_then_other_arms_as_given(make_run):
    given = [
        make_run("online", 1, label="z"),
        make_run("online", 1),
        make_run("online", 0),
        make_run("real", 0, label="real-equal-views", views_per_image=4),
        make_run("offline", 0, label="a"),
        make_run("real", 0),
    ]
    ordered = in_order(given)
    assert [(run.name, run.seed) for run in ordered] == [
        ("real", 0), ("real-equal-views", 0), ("online", 0), ("online", 1), ("z", 1), ("a", 0),
    ]  # fmt: skip
    grouped = by_arm(ordered)
    assert list(grouped) == ["real", "real-equal-views", "online", "z", "a"]
    assert [run.seed for run in grouped["online"]] == [0, 1]


WRONG = {
    "one arm": ([("real", 0, None), ("real", 1, None)], "all runs are of the arm real; give runs of two regimes"),
    "twice": ([("real", 0, None), ("online", 0, None), ("online", 0, None)], "are both online with seed 0"),
    "two regimes": ([("real", 0, "a"), ("online", 1, "a"), ("real", 0, "b")], "both called a, and are of the regimes"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG.keys())
def test_runs_that_cannot_be_told_apart_are_refused(make_run, given, message):
    runs = [make_run(regime, seed, label=label) for regime, seed, label in given]
    with pytest.raises(UsageError, match=message):
        in_order(runs)
