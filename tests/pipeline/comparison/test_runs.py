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
    path = make_run("online", 0).path
    declared = {arm.name: arm for arm in parse_arms(["soft: online --hard-weight 0.1"])}
    plain, free, known = read_labelled([str(path), f"mine={path}", f"soft={path}"], declared)
    assert (plain.name, plain.arm.free) == ("online", False)
    assert (free.name, free.arm.free, free.arm.regime) == ("mine", True, "online")
    assert known.arm == declared["soft"]


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
