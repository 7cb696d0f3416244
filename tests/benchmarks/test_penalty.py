"""The benchmark of the probe's penalty, made small: both rules choose from one grid, and nothing beats the best."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from synthcl.pipeline import train
from synthcl.pipeline.evaluation.linear import L2_GRID, choose_l2
from synthcl.pipeline.randomness import Key

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def penalty(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("penalty")


def test_each_encoder_number_and_draw_is_a_line(penalty, tmp_path, monkeypatch, capsys):
    run = str(tmp_path / "run")
    train(data="digits", image_size=8, backbone="resnet10-w4", batch_size=8, steps=1, out=run)
    words = ["--image-size", "8", "--num-labels", "60", "100", "--draws", "2", "--keys", "1"]
    words += ["--data", "digits:train", "--test-data", "digits:test"]
    monkeypatch.setattr(sys, "argv", ["penalty.py", run, *words])
    penalty.main()
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["num_labels"], row["draw"]) for row in rows] == [(60, 0), (60, 1), (100, 0), (100, 1)]
    for rule in ("accuracy", "cross_entropy"):
        assert all(row[rule] in L2_GRID and row[f"lost_by_{rule}"] >= 0 for row in rows)
    assert "| 60 | 2 |" in err and "| 100 | 2 |" in err


def test_its_rule_by_cross_entropy_is_the_one_of_the_probe(penalty):
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (300,), generator=random)
    features = torch.randn(300, 24, generator=random) + torch.randn(4, 24, generator=random)[labels] / 2
    key = Key.from_seed(3)
    place = penalty.choices((features, labels), 4, key)["cross_entropy"]
    assert L2_GRID[place] == choose_l2(features, labels, num_classes=4, key=key)
