"""The comparison with lightly's own training, made small: both sides train, are probed alike and are not done twice."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = ["--data", "digits:train[:64]", "--test-data", "digits:test[:40]", "--image-size", "8", "--batch-size", "16"]


@pytest.fixture
def run(monkeypatch, capsys):
    """The script with options: what it prints."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = importlib.import_module("baseline")

    def call(out, *options):
        words = ["baseline.py", *SMALL, "--backbone", "resnet10-w8", "--epochs", "1", "--out", str(out), *options]
        words += ["--threads", str(torch.get_num_threads())]
        monkeypatch.setattr(sys, "argv", words)
        script.main()
        return capsys.readouterr().out

    return call


SIDES = {
    "simclr": ("synthcl", "synthcl, head_batchnorm", "lightly"),
    "moco": ("synthcl", "synthcl, statistics apart", "synthcl, as lightly's", "lightly"),
}


@pytest.mark.slow
def test_both_sides_train_once_and_stand_in_the_table(run, tmp_path):
    printed = [json.loads(line) for line in run(tmp_path, "--seeds", "1").splitlines()]
    assert [(row["learner"], row["side"]) for row in printed] == [
        (learner, side) for learner, sides in SIDES.items() for side in sides
    ]
    assert all(0 < row[task] <= 100 for row in printed for task in ("linear", "knn"))
    more = [json.loads(line) for line in run(tmp_path, "--seeds", "2", "--learners", "simclr").splitlines()]
    assert [(row["side"], row["seed"]) for row in more] == [(side, 1) for side in SIDES["simclr"]]
    weights = {(tmp_path / f"simclr-lightly-seed-{seed}/encoder/model.safetensors").read_bytes() for seed in (0, 1)}
    assert len(weights) == 2
    assert run(tmp_path, "--seeds", "1") == ""
    shown = run(tmp_path, "--table").splitlines()
    assert [line.split(" | ")[0] for line in shown[2:]] == [
        *["| simclr"] * 2,
        *["| simclr, head_batchnorm"] * 2,
        *["| moco"] * 2,
        *["| moco, statistics apart"] * 2,
        *["| moco, as lightly's"] * 2,
    ]
    assert all(line.split(" | ")[5].startswith(("+", "-")) for line in shown[2:])
