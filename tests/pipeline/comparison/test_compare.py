"""A comparison of runs that exist, from options to its files, with made-up accuracies.

Trainings are in tests/cli/test_compare.py.
"""

import json

import pytest

from synthcl.pipeline.comparison import evaluations
from synthcl.pipeline.comparison.compare import compare
from synthcl.pipeline.comparison.forecast import forecast
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.errors import UsageError

TOP1 = {"real": 0.60, "online": 0.70}


@pytest.fixture
def asked(monkeypatch):
    """Which runs were evaluated. An encoder's accuracy is that of its regime; those of online vary with the seed."""
    calls = []

    def evaluate(run, data, *, seed, untrained, **options):
        calls.append(run.name)
        regime = run.name.partition("-")[0]
        top1 = 0.3 if untrained else TOP1[regime] + 0.002 * seed**2 * (regime == "online")
        interval = [top1 - 0.1, top1 + 0.1]
        words = {"data": data, "test_data": f"{data}:test", "warnings": ["the labels are few"]}
        return {"top1": top1, "top5": 0.9, "top1_interval": interval, "num_test": 355, "seconds": 1.0, **words}

    monkeypatch.setattr(evaluations, "evaluate_linear", evaluate)
    monkeypatch.setattr(evaluations, "evaluate_knn", evaluate)
    return calls


@pytest.mark.parametrize("command", [compare, forecast])
def test_a_run_that_joins_is_of_the_arm_of_that_name(make_run, tmp_path, command):
    """With the options that the arm declares, and no other regime."""
    given = {"data": "digits", "image_size": 8, "batch_size": 64, "backbone": "resnet10-w4", "steps": 4}
    given |= {"regimes": "real", "arm": ["wide: --views-per-image 4"], "seed": 1, "out": str(tmp_path / "out")}
    with pytest.raises(UsageError, match="has --views-per-image 2, and the arm is 'wide: real --views-per-image 4'"):
        command(CompareConfig(**given, run=[f"wide={make_run('real', 0).path}"]))
    with pytest.raises(UsageError, match="is of the regime online, and wide is of real"):
        command(CompareConfig(**given, run=[f"wide={make_run('online', 0).path}"]))


@pytest.fixture
def runs(make_run):
    seeds = {"real": (0, 1, 2), "online": (0, 1, 2)}
    return [str(make_run(regime, seed).path) for regime, own in seeds.items() for seed in own]


def config(runs, out, **options):
    return CompareConfig(out=str(out), run=runs, label_fraction=[1.0], **options)


def test_runs_are_asked_once_and_what_they_came_to_is_written(runs, asked, tmp_path, capsys):
    out = tmp_path / "out"
    result = compare(config(runs, out))
    assert result["winner"] == "online" and "Online helps: +10.33 points" in result["verdict"]
    assert result["runs"] == runs and result["arms"] == ["real", "online"]
    assert result["notes"] == ["the labels are few"]
    assert json.loads((out / "result.json").read_text()) == result
    assert {path.name for path in out.iterdir()} >= {"report.html", "results.csv", "results.parquet", "answers"}
    assert len(asked) == 2 * (6 + 3)
    capsys.readouterr()

    assert compare(config(runs, out)) == result
    assert "already finished: nothing was trained or evaluated, and this is its result" in capsys.readouterr().err
    other = compare(config(runs, out, reference="online"))
    assert other["differences"][0]["reference"] == "online"
    assert "nothing was trained or evaluated, and its result and report now follow" in capsys.readouterr().err
    assert len(asked) == 2 * (6 + 3)


def test_what_the_runs_differ_in_beyond_the_regime_is_said(make_run, runs, asked, tmp_path):
    more = [*runs, str(make_run("online", 3, batch_size=32).path)]
    result = compare(config(more, tmp_path / "out"))
    assert result["winner"] is None
    (line,) = result["mismatches"]
    assert line.startswith("--batch-size")
    assert any("real has no run of seed 3" in note for note in result["notes"])


WRONG = {
    "a reference": ({"reference": "offline"}, "--reference 'offline' is none of the arms; they are real, online"),
    "a primary": ({"primary": "online-fresh"}, "--primary 'online-fresh' is no comparison that is made"),
    "a judged one": ({"judge": ["fresh-real"]}, "--judge 'fresh-real' is no comparison that is made"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("command", [compare, forecast])
def test_arms_that_there_are_not_are_refused_before_anything_is_asked(runs, asked, tmp_path, command, options, message):
    with pytest.raises(UsageError, match=message):
        command(config(runs, tmp_path / "out", **options))
    assert asked == [] and not (tmp_path / "out").exists()


JOINED = {
    "a seed that is trained": ({}, "are both real with seed 0; give one of them"),
    "a primary": ({"primary": "joined-fresh"}, "--primary 'joined-fresh' is no comparison that is made"),
    "a judged one": ({"judge": ["fresh-real"]}, "--judge 'fresh-real' is no comparison that is made"),
}


@pytest.mark.parametrize(("options", "message"), JOINED.values(), ids=JOINED.keys())
@pytest.mark.parametrize("command", [compare, forecast])
def test_runs_that_cannot_join_are_refused_before_anything_is_trained(make_run, tmp_path, command, options, message):
    label = "joined=" if options else ""
    given = {"data": "digits", "image_size": 8, "batch_size": 64, "backbone": "resnet10-w4", "steps": 4}
    given |= {"regimes": "real,real-4-views", "run": [f"{label}{make_run('real', 0).path}"]}
    with pytest.raises(UsageError, match=message):
        command(CompareConfig(**given, out=str(tmp_path / "out"), **options))
    assert not (tmp_path / "out").exists()


def test_runs_of_different_images_need_to_be_told_what_to_probe(make_run, asked, tmp_path):
    runs = [str(make_run("real", 0).path), str(make_run("online", 0, data="digits[:50%]").path)]
    with pytest.raises(UsageError, match=r"trained on digits and digits\[:50%\]; name the images to probe with --data"):
        compare(config(runs, tmp_path / "out"))
    assert asked == []
