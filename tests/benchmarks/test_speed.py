"""The benchmarks of speed, made small: time goes to the part it belongs to, and what is timed is the training."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from synthcl.pipeline.errors import UsageError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def load():
    """Imports a benchmark as its own script would be, in this process: torch takes seconds to import."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module
    for name in [n for n, module in sys.modules.items() if str(BENCHMARKS) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


@pytest.fixture
def clock():
    """A stopwatch that stands still unless its `time` is set."""
    watch = SimpleNamespace(time=0.0)
    watch.now = watch.read = lambda: watch.time
    return watch


def test_what_is_inside_another_part_counts_for_itself_alone(load, clock):
    parts = load("speed").Parts(clock)
    owner = SimpleNamespace(pass_time=lambda seconds: setattr(clock, "time", clock.time + seconds))
    clock.time = 5  # in no part
    with parts.part("outer"):
        clock.time += 1
        with parts.watching(owner, "pass_time", lambda seconds: f"of {seconds}"):
            owner.pass_time(2)
            owner.pass_time(4)
        clock.time += 8
        parts.rename("later")
        clock.time += 16
    clock.time += 32
    assert parts.seconds == {"outer": 9, "of 2": 2, "of 4": 4, "later": 16}


def test_contestants_take_turns_and_the_warm_up_does_not_count(load, clock):
    turns = []

    class Contestant:
        def __init__(self, name, seconds):
            self.name, self.seconds = name, seconds

        def __call__(self, steps):
            turns.append(self.name)
            clock.time += steps * self.seconds(len(turns))

    class Prepared(Contestant):
        def prepare(self):
            clock.time += 100

        finish = prepare

    fast, slow = Contestant("fast", lambda turn: turn), Prepared("slow", lambda turn: 2 * (turn - 1))
    speed = load("speed")
    times, _ = speed.contest({"fast": fast, "slow": slow}, rounds=2, warmup=1, steps=4, watch=clock)
    assert turns == ["fast", "slow"] * 3
    assert times == {"fast": [3, 5], "slow": [6, 10]}
    assert speed.ratio(times["slow"], times["fast"]) == {"median": 2.0, "range": [2.0, 2.0], "n": 2}


@pytest.fixture
def settings(tmp_path):
    options = {"data": "digits", "image_size": 8, "backbone": "resnet10-w4", "batch_size": 8, "precision": "fp32"}
    return lambda name: options | {"out": str(tmp_path / name)}


def test_a_training_that_is_measured_in_between_is_the_undisturbed_one(load, settings, clock):
    """Bare passes and measured parts change no weight, and a block of steps is so many steps."""
    speed, joint_step = load("speed"), load("joint_step")
    with speed.paused_trainings({name: settings(name) for name in ("straight", "measured")}) as trainings:
        straight, measured = trainings.values()
        straight(3)
        measured(1)
        joint_step.run_all(joint_step.bare_passes(measured), 2)
        with joint_step.timed_parts(measured, clock) as parts:
            measured(2)
        assert straight.index == measured.index == 3
        weights = [dict(training.step.inner.named_parameters()) for training in trainings.values()]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        assert {"learner", "learner's update", "views", "data", "metrics"} < set(parts.seconds)


def test_an_error_of_a_training_comes_out_of_its_thread(load, settings):
    speed = load("speed")
    large = {"large": settings("large") | {"batch_size": 10_000}}
    with pytest.raises(UsageError, match="batch-size"), speed.paused_trainings(large):
        pass


def test_a_regime_is_a_line_of_json(load, tmp_path, monkeypatch, capsys):
    options = ["--device", "cpu", "--image-size", 8, "--backbone", "resnet10-w4", "--batch-size", 8]
    options += ["--regimes", "online", "--rounds", 1, "--warmup", 0, "--steps", 1, "--set", "hard_weight=0.5"]
    monkeypatch.setattr(sys, "argv", ["joint_step.py", *map(str, options)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    load("joint_step").main()
    out, err = capsys.readouterr()
    row = json.loads(out)
    assert row["regime"] == "online" and row["hardware"]["processor"] and row["options"]["set"] == ["hard_weight=0.5"]
    # Steps are raised to those from one penalty to the next.
    assert set(row["bare_parts_ms"]) == {"learner", "generator", "realism"} < set(row["parts_ms"])
    for name in ("over_bare", "over_naive", "over_careful"):
        assert row[name]["median"] > 0
    assert "over naive" in err


def test_cuml_takes_part_in_the_probes_where_it_is(load, monkeypatch, capsys):
    """With scikit-learn behind cuML's names: what is given to it and what its answers become is right."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors

    def of_arrays(kind):
        return lambda output_type, **options: kind(**options)

    linear = SimpleNamespace(LogisticRegression=of_arrays(LogisticRegression))
    neighbors = SimpleNamespace(NearestNeighbors=of_arrays(NearestNeighbors))
    monkeypatch.setitem(sys.modules, "cuml", SimpleNamespace(linear_model=linear, neighbors=neighbors))
    monkeypatch.setitem(sys.modules, "cuml.linear_model", linear)
    monkeypatch.setitem(sys.modules, "cuml.neighbors", neighbors)
    training, probes = load("training"), load("probes")
    assert not probes.has_cuml(torch.device("cpu"))
    monkeypatch.setattr(probes, "has_cuml", lambda device: True)
    words = ["--parts", "probe,knn", "--num-train", "600", "--num-test", "200", "--neighbours", "20", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["training.py", "--device", "cpu", *words])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    training.main()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["part"] for row in rows] == ["probe", "knn"]
    for row in rows:
        assert min(row["answers_as_ours_cuml"], row["answers_as_ours_sklearn"]) > 0.95
        assert row["answers_as_ours_cuml"] == pytest.approx(row["answers_as_ours_sklearn"], abs=0.01)
        assert row["cuml_over_ours"]["n"] == 1


def test_reading_ahead_takes_turns_with_reading_in_turn(load, monkeypatch, capsys):
    options = ["--device", "cpu", "--image-size", 8, "--backbone", "resnet10-w4", "--batch-size", 8]
    options += ["--rounds", 1, "--warmup", 0, "--steps", 2, "--num-samples", 20]
    monkeypatch.setattr(sys, "argv", ["ahead.py", *map(str, options)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    load("ahead").main()
    row = json.loads(capsys.readouterr().out)
    assert all(row[name]["median"] > 0 for name in ("ahead_ms", "in_turn_ms", "in_turn_over_ahead"))
    assert 0 < row["reading_ms"]["median"] < row["in_turn_ms"]["median"]
