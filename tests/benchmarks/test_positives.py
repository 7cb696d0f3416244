"""The comparison of positives, made small: each arm trains on a set of its own, once, and stands in the table."""

import importlib
import json
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from synthcl.pipeline.shards import open_shard_set

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """The script with options, on a few digits: what it prints."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = importlib.import_module("positives")
    small = {
        "data": "digits:train[:32]",
        "test_data": "digits:test[:40]",
        "train": {"batch_size": 16, "steps": 1},
        "diffusion": {"batch_size": 8, "steps": 2},
        "samples": 32,
    }
    monkeypatch.setitem(script.SETTINGS, "digits", small)
    monkeypatch.setattr(script, "SIZE", 8)

    def call(*options):
        monkeypatch.setattr(sys, "argv", ["positives.py", "--out", str(tmp_path), "--setting", "digits", *options])
        script.main()
        return capsys.readouterr().out

    return call


@pytest.mark.slow
def test_each_arm_has_its_own_set_and_stands_in_the_table(run, tmp_path):
    (row,) = [json.loads(line) for line in run("--seeds", "1").splitlines()]
    arms = {"real", "real-4-views", "singles", "pairs", "groups", "anchored", "apart"}
    for task in ("linear", "knn"):
        assert row[task].keys() == arms and all(len(v) == 1 and 0 < v[0] <= 100 for v in row[task].values())
    sizes = {name: open_shard_set(tmp_path / "digits" / name) for name in ("singles", "pairs", "groups", "variations")}
    assert {name: found.views_per_sample for name, found in sizes.items()} == {
        "singles": 1,
        "pairs": 2,
        "groups": 4,
        "variations": 1,
    }
    assert sorted(sizes["variations"].column("anchor_index")) == list(range(32))
    # Half of the images of a step are synthetic in each arm: 16, of so many latents.
    found = pyarrow.parquet.read_table(tmp_path / "digits" / "compared" / "results.parquet").to_pylist()
    synthetic = {one["arm"]: one["value"] for one in found if one["metric"] == "num_synthetic"}
    images = {"real": 0, "real-4-views": 0, "pairs": 2, "groups": 4}
    assert {arm: value * images.get(arm, 1) for arm, value in synthetic.items()} == {
        arm: 0 if arm.startswith("real") else 16 for arm in arms
    }
    assert run("--seeds", "1") == ""
    difference = row["knn"]["groups"][0] - row["knn"]["pairs"][0]
    (line,) = [line for line in run("--table").splitlines() if line.startswith("| groups - pairs")]
    assert line.endswith(f"{difference:+.2f} |")


@pytest.mark.slow
def test_variations_at_several_strengths_go_into_two_losses(run, tmp_path):
    (row,) = [json.loads(line) for line in run("--seeds", "1", "--question", "anchors").splitlines()]
    strengths = ("10", "25", "50")
    made = {f"{loss}-{strength}" for loss in ("anchored", "clsp") for strength in strengths}
    assert row["question"] == "anchors" and row["linear"].keys() == {"real", "real-4-views", "pairs"} | made
    found = pyarrow.parquet.read_table(tmp_path / "digits" / "compared-anchors" / "results.parquet").to_pylist()
    losses = {one["arm"]: one["value"] for one in found if one["metric"] == "loss"}
    # Of one step from the same weights: the nearer a variation, and the other loss, the other the number.
    assert len({losses[arm] for arm in made}) == len(made)
    assert run("--seeds", "1", "--question", "anchors") == ""
    assert sum(line.startswith("| clsp-25 - ") for line in run("--table").splitlines()) == 2
