"""The forecast: what a few steps took times what is left, with made-up trials.

Real ones are in test_trial.py and tests/cli/test_compare.py.
"""

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from synthcl.pipeline.comparison import forecast as module
from synthcl.pipeline.comparison.forecast import forecast
from synthcl.pipeline.comparison.plan import make_budget, planned_runs
from synthcl.pipeline.comparison.trial import FIRST_STEPS, MOST_STEPS, ArmTrial, EvaluationTrial, SetTrial
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.errors import RunStopped
from synthcl.pipeline.runs.loop import Interrupted

PER_STEP = {"real": 0.1, "offline": 0.2, "online": 0.5}
AROUND = 4.0
FITS = EvaluationTrial(seconds_per_image=0.01, bytes_per_image=4, fit_seconds=1e-6, vote_seconds=1e-6)
IMAGES = (6000, 500)


@pytest.fixture
def tried(monkeypatch, tmp_path):
    """The arms that were tried and for how many steps; nothing is trained, generated or evaluated."""
    calls = []

    def try_arm(config, arm, steps, home, shards):
        calls.append((arm.name, steps, shards))
        return ArmTrial(steps, PER_STEP[arm.name], AROUND, 0.0, 1000, 300, 0.0, 2.0, home / arm.name)

    monkeypatch.setattr(module, "try_arm", try_arm)
    monkeypatch.setattr(module, "try_set", lambda config, home: SetTrial(0.5, 100.0, home / "shards"))
    monkeypatch.setattr(module, "try_evaluation", lambda *args: FITS)
    monkeypatch.setattr(module, "load_encoder", lambda path: None)
    monkeypatch.setattr(module, "check_inputs", lambda config: {("digits", None): IMAGES})
    monkeypatch.setattr(module, "TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return calls


@pytest.fixture
def config_of(tmp_path):
    def make(**options):
        given = {"data": "digits", "generator": "gan", "batch_size": 64, "steps": 1000, "seeds": 2}
        given |= {"out": str(tmp_path / "out"), "regimes": "real,offline,online", "label_fraction": [0.5]}
        return CompareConfig(**{**given, **options})

    return make


def test_seconds_and_bytes_are_those_of_the_trials_times_what_is_left(config_of, tried, tmp_path):
    result = forecast(config_of())
    assert [(name, steps) for name, steps, _ in tried] == [(name, FIRST_STEPS) for name in PER_STEP]
    for row in result["arms"]:
        assert (row["steps"], row["runs"], row["runs_left"]) == (1000, 2, 2)
        assert row["seconds"] == pytest.approx(2 * (AROUND + 1000 * PER_STEP[row["arm"]]))
        assert row["bytes"] == 2 * (1000 + 300 + 2 * 1000)  # one checkpoint a thousand steps
    assert result["set"] == {"num_samples": 32_000, "samples_left": 32_000, "seconds": 16_000.0, "bytes": 3_200_000}
    # Three arms and untrained weights, two seeds: encoded once each; two probes and neighbours, or one and neighbours.
    few, whole = FITS.linear_seconds(3000), FITS.linear_seconds(6000)
    vote = 1e-6 * IMAGES[0] * IMAGES[1]
    expected = 8 * 6500 * 0.01 + 6 * (few + whole + vote) + 2 * (whole + vote)
    asked = result["evaluations"]
    assert (asked["evaluations"], asked["evaluations_left"]) == (22, 22)
    assert asked["seconds"] == pytest.approx(expected, abs=0.1) and asked["bytes"] == 8 * 6500 * 4
    more = forecast(config_of(robustness=True))["evaluations"]
    assert more["evaluations"] == 30 and more["bytes"] == asked["bytes"]
    assert more["seconds"] == pytest.approx(expected + 8 * (whole + 55 * 500 * 0.01), abs=0.1)
    parts = [*result["arms"], result["set"], asked]
    assert result["seconds"] == pytest.approx(sum(part["seconds"] for part in parts), abs=0.1)
    assert result["bytes"] == sum(part["bytes"] for part in parts)
    assert list(tmp_path.iterdir()) == []


def test_what_is_done_is_left_out(config_of, tried, monkeypatch):
    config = config_of()
    first, second, *_ = planned_runs(config, make_budget(config, 1000, lambda _: 10))
    first.path.mkdir(parents=True)
    (first.path / "result.json").write_text(json.dumps({"steps": 1000}))
    (second.path / "checkpoints" / "step-00000400").mkdir(parents=True)
    monkeypatch.setattr(module, "check_out", lambda *args: None)
    monkeypatch.setattr(module, "compared", lambda runs: [])
    rows = {row["arm"]: row for row in forecast(config)["arms"]}
    assert (rows["real"]["runs"], rows["real"]["runs_left"]) == (2, 1)
    assert rows["real"]["seconds"] == pytest.approx(AROUND + 100)
    assert rows["offline"]["seconds"] == pytest.approx(2 * AROUND + 0.2 * (600 + 1000))


def test_a_fast_arm_is_tried_for_longer(config_of, tried, monkeypatch):
    monkeypatch.setattr(module, "TRIAL_SECONDS", 6.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))  # the trials themselves take none
    forecast(config_of(regimes="real,online"))
    # Half of the seconds for the first arm, and all that are left for the second.
    expected = [("real", FIRST_STEPS), ("real", 30), ("online", FIRST_STEPS), ("online", 12)]
    assert [(name, steps) for name, steps, _ in tried] == expected
    tried.clear()
    monkeypatch.setattr(module, "TRIAL_SECONDS", 1e6)
    forecast(config_of(regimes="real,online"))
    assert {steps for _, steps, _ in tried} == {FIRST_STEPS, MOST_STEPS}


def test_lengths_of_equal_seconds_follow_the_rates_that_were_tried(config_of, tried):
    result = forecast(config_of(equal="seconds"))
    assert {row["arm"]: row["steps"] for row in result["arms"]} == {"real": 1000, "offline": 500, "online": 200}
    assert any("the steps of equal seconds are measured anew" in note for note in result["notes"])
    assert len(tried) == 3, "each arm once"


def test_a_disk_that_is_too_small_is_told(config_of, tried, monkeypatch):
    monkeypatch.setattr(module, "_free_bytes", lambda folder: 1000)
    assert "the disk of" in forecast(config_of())["notes"][-1]
    monkeypatch.undo()
    assert module._free_bytes(Path(config_of().out) / "deeper") > 1000


def test_ctrl_c_leaves_nothing(config_of, tried, monkeypatch, tmp_path):
    def interrupted(*args):
        raise Interrupted("stopped", "SIGINT")

    monkeypatch.setattr(module, "try_arm", interrupted)
    with pytest.raises(RunStopped, match="interrupted; nothing was written to"):
        forecast(config_of())
    assert list(tmp_path.iterdir()) == []
