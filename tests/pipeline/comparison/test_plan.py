"""The plan: trainings that differ in the regime alone, at equal budgets."""

import dataclasses

import pytest

from synthcl.pipeline.comparison.plan import generation, make_budget, planned_runs, with_recordings
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import write_yaml

ALL = "replay,online,real,offline"
GIVEN = {"data": "digits", "out": "out", "generator": "gan", "batch_size": 64, "steps": 100, "regimes": ALL}


def of_ten(run):
    """Steps of an epoch: of 640 images."""
    return 640 // run.batch_size


def plan(**options):
    config = CompareConfig(**{**GIVEN, **options})
    budget = make_budget(config, config.steps, of_ten)
    return config, budget, planned_runs(config, budget)


def test_runs_differ_in_their_sources_and_seeds_alone():
    _, _, runs = plan(seed=5, learner="moco", seeds=2)
    assert [(run.arm.name, run.seed) for run in runs[:4]] == [("real", 5), ("offline", 5), ("online", 5), ("replay", 5)]
    assert {run.config.regime for run in runs} == {"real", "offline", "online", "replay"}
    for run in runs:
        changed = {
            f.name for f in dataclasses.fields(run.config)
            if getattr(run.config, f.name) != getattr(runs[0].config, f.name)
        }  # fmt: skip
        assert changed <= {"out", "seed", "shards", "online", "generator", "record", "replay", "sample_every"}
    by_name = {(run.arm.name, run.seed): run.config for run in runs}
    assert by_name["replay", 6].replay == by_name["online", 6].record == "out/recordings/seed-6"
    assert by_name["offline", 5].shards == by_name["offline", 6].shards == ["out/shards"]


def test_the_offline_set_is_as_large_as_what_online_draws_up_to_a_cap():
    config, budget, _ = plan()
    assert budget.num_samples == 100 * 32 and budget.notes == []
    assert generation(config, budget).pairs
    _, budget, _ = plan(steps=10_000)
    assert budget.num_samples == 50_000 and "online draws 320,000" in budget.notes[0]
    _, budget, _ = plan(steps=10_000, num_samples=100_000)  # the cap is of what nobody asked for
    assert budget.num_samples == 100_000
    config, budget, runs = plan(shards=["mine"], where="hardness > 1")
    assert generation(config, budget) is None
    assert {tuple(run.config.shards) for run in runs if run.arm.name == "offline"} == {("mine",)}
    with pytest.raises(UsageError, match="--num-samples 31 is less than a step draws; give 32"):
        plan(num_samples=31)


DRAWN_AHEAD = {
    "seed": 5, "pairs": False, "pair_strength": 0.7, "sampler": "ddim", "sampling_steps": 7, "classes": ["3"],
    "guidance_scale": 2.0, "generator_precision": "bf16",
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), DRAWN_AHEAD.items(), ids=DRAWN_AHEAD.keys())
def test_the_offline_set_is_drawn_as_samples_of_each_step_are(name, value):
    config, budget, _ = plan(**{name: value})
    assert getattr(generation(config, budget), name) == value


def test_equal_images_and_equal_seconds():
    _, budget, _ = plan(equal="images")
    # 64 real images a step, or 64 and 32 pairs.
    assert budget.steps == {"real": 100, "offline": 50, "online": 50, "replay": 50}
    config = CompareConfig(**{**GIVEN, "equal": "seconds"})
    budget = make_budget(config, 100, of_ten, {"real": 0.1, "offline": 0.2, "online": 0.4, "replay": 0.2})
    assert budget.steps == {"real": 100, "offline": 50, "online": 25, "replay": 25}
    assert "replay would have had 50 steps" in budget.notes[0]


def test_larger_groups_are_drawn_ahead_as_they_are_at_each_step():
    config, budget, runs = plan(regimes="offline,fresh,real-equal-views", images_per_sample=4, equal="images")
    assert generation(config, budget).group_size == 4
    configs = {run.arm.name: run.config for run in runs}
    assert configs["fresh"].group_size == 4
    # 64 images and 32 groups of 4, in two views each.
    assert configs["real-equal-views"].views_per_image == 2 * (64 + 32 * 4) // 64
    assert len(set(budget.steps.values())) == 1


def test_arms_share_all_but_what_they_declare():
    arms = ["nohard: --online --no-hard", "again: replay --replay nohard", "long: --steps 150", "big: --batch-size 128"]
    _, budget, runs = plan(seeds=1, regimes="real-equal-views,real,offline,online,replay", arm=arms, hard_weight=0.5)
    configs = {run.arm.name: run.config for run in runs}
    assert budget.steps == {name: 150 if name == "long" else 100 for name in configs}
    assert configs["real-equal-views"].views_per_image == 4 and configs["real"].views_per_image == 2
    assert configs["online"].hard_weight == 0.5 and not configs["nohard"].hard
    assert configs["nohard"].generator == configs["online"].generator == "gan"
    assert configs["replay"].replay == configs["online"].record == "out/recordings/seed-0"
    assert configs["again"].replay == configs["nohard"].record == "out/recordings/nohard/seed-0"
    assert configs["long"].steps == 150 and configs["big"].batch_size == 128
    assert {config.out for config in configs.values()} == {f"out/runs/{name}/seed-0" for name in configs}
    order = [run.arm.name for run in runs]
    assert order.index("again") > order.index("nohard")


def test_arms_that_come_later_leave_what_was_decided():
    _, before, _ = plan(seeds=1)
    config = CompareConfig(**{**GIVEN, "arm": ["nohard: --online --no-hard", "long: --epochs 30"]})
    after = make_budget(config, 70, of_ten, kept=before)
    assert after.steps == {**before.steps, "nohard": 70, "long": 300} and after.num_samples == before.num_samples


def test_epochs_of_an_arm_are_those_of_its_own_images_and_batch_size():
    _, budget, _ = plan(
        regimes="real", generator=None, arm=["big: --batch-size 128 --epochs 3", "wide: --batch-size 128"]
    )
    assert budget.steps == {"real": 100, "big": 15, "wide": 100}


def planned_anew(kept, arms, regimes="real,online,replay"):
    config = CompareConfig(**{**GIVEN, "regimes": regimes, "arm": arms})
    return make_budget(config, 70, of_ten, kept=kept)


def test_a_length_that_an_arm_declares_is_never_that_of_before():
    _, before, _ = plan(regimes="real,online,replay", arm=["long: --steps 150", "again: replay --steps 200"])
    assert before.steps == {"real": 100, "online": 100, "replay": 100, "long": 150, "again": 100}
    assert before.notes == ["again would have had 200 steps, but a recording of online holds its 100"]
    after = planned_anew(before, ["long: --epochs 30", "again: replay --steps 90"])
    assert after.steps == {**before.steps, "long": 300, "again": 90} and after.notes == []
    # One that declares none any more is as one that has come since.
    assert planned_anew(before, ["long: --batch-size 128", "again: replay"]).steps["long"] == 70
    # Plans of earlier versions do not say which declared theirs.
    earlier = dataclasses.replace(before, own=[])
    assert planned_anew(earlier, ["long: --steps 80", "again: replay"]).steps == {**before.steps, "long": 80}


def test_arms_that_are_left_out_once_keep_what_they_have():
    config = CompareConfig(**{**GIVEN, "equal": "seconds", "arm": ["long: --steps 150"]})
    rates = {"real": 0.1, "offline": 0.2, "online": 0.4, "replay": 0.4, "long": 0.1}
    before = make_budget(config, 100, of_ten, rates)
    without = CompareConfig(**{**GIVEN, "equal": "seconds", "regimes": "real,offline", "num_samples": 64})
    between = make_budget(without, 100, of_ten, kept=before)
    assert between.steps == before.steps and between.seconds_per_step == rates and between.own == ["long"]
    assert make_budget(config, 100, of_ten, kept=between) == before


def test_recordings_that_arms_replay_are_drawn_before_them():
    config = CompareConfig(**{**GIVEN, "arm": ["nohard: --online --no-hard", "again: replay --replay nohard"]})
    arms = {arm.name: arm for arm in config.arms()}

    def ordered(*names):
        return [arm.name for arm in with_recordings(config, [arms[name] for name in names])]

    assert ordered("again", "real") == ["real", "nohard", "again"]
    assert ordered("replay") == ["online", "replay"] and ordered("online") == ["online"]


def begun(run):
    """Leave what a training leaves first."""
    run.path.mkdir(parents=True)
    (run.path / "config.yaml").write_text(write_yaml(run.config.to_dict()))


def test_a_run_that_records_goes_on_where_no_arm_replays_it_any_more(tmp_path):
    given = {"seeds": 2, "out": str(tmp_path / "out")}
    _, _, runs = plan(**given)
    both = [run for run in runs if run.arm.name == "online"]
    begun(both[0])
    _, _, without = plan(**given, regimes="real,online,offline")
    first, second = (run.config for run in without if run.arm.name == "online")
    assert first == both[0].config and first.record is not None
    assert second.record is None, "nobody asks for it"


def test_an_arm_cannot_replay_what_was_not_recorded(tmp_path):
    given = {"seeds": 1, "out": str(tmp_path / "out")}
    _, _, (_, online) = plan(**given, regimes="real,online")
    plan(**given)
    begun(online)
    with pytest.raises(UsageError, match=r"replay replays online, which had to be recorded.*seed-0 was begun without"):
        plan(**given)
