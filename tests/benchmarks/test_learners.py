"""The table of learners and regimes, made small: each learner is compared once, and what it came to is shown."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run(monkeypatch, capsys):
    """The script with options, on a few digits: what it prints."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = importlib.import_module("learners")
    small = {
        "images": {"data": "digits:train[:32]", "test_data": "digits:test[:40]", "image_size": 8},
        "train": {"batch_size": 16, "steps": 2},
        "gan": {"batch_size": 8, "steps": 2, "preset": "tiny"},
        "samples": 16,
    }
    monkeypatch.setitem(script.SETTINGS, "digits", small)

    def call(out, *options):
        monkeypatch.setattr(sys, "argv", ["learners.py", "--out", str(out), "--setting", "digits", *options])
        script.main()
        return capsys.readouterr().out

    return call


@pytest.mark.slow
def test_each_learner_is_compared_once_and_stands_in_the_table(run, tmp_path):
    (row,) = [json.loads(line) for line in run(tmp_path, "--learners", "byol", "--seeds", "1").splitlines()]
    assert row["learner"] == "byol" and row["linear"].keys() == {"real", "offline", "online"}
    assert all(len(found) == 1 and 0 < found[0] <= 100 for task in ("linear", "knn") for found in row[task].values())
    assert run(tmp_path, "--learners", "byol", "--seeds", "1") == ""
    shown = run(tmp_path, "--table").splitlines()
    (linear,) = [line for line in shown if line.startswith("| `byol` | 1 | linear")]
    assert f"| {row['linear']['online'][0] - row['linear']['real'][0]:+.2f} |" in linear


def test_an_unknown_learner_is_named(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "--learners", "byol,nothing")
    assert "unknown learners nothing; they are simclr" in capsys.readouterr().err
