"""Training on shard sets in windows, in folders and at URLs: the same samples, and runs that go on as they began."""

import hashlib
import json
import shutil

import pytest

STEPS = 6


@pytest.fixture
def train(synthcl, generator, tmp_path, monkeypatch):
    """`train(name, shards, *options)`: a run on a set of ten shards, which is in the folder that SET stands for."""
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    options = ["--samples-per-shard", 4, "--workers", 0]
    synthcl("generate", "--generator", generator, "--num-samples", 40, *options, "--out", folder)

    def call(name, shards, *options, code=0):
        images = ["--data", "digits[:40]", "--image-size", 8, "--batch-size", 16, "--backbone", "resnet10-w8"]
        saved = ["--steps", STEPS, "--log-every", 1, "--checkpoint-every", 2, "--out", tmp_path / name]
        given = ["--shards", str(shards).replace("SET", str(folder)), *options]
        return synthcl("train", *images, *saved, *given, code=code)

    return call


def weights(run):
    files = sorted((run / "checkpoints").rglob("*.safetensors"))
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def cut(run, target):
    """The run as one leaves it that was killed before its last checkpoint."""
    shutil.copytree(run, target)
    (target / "result.json").unlink()
    shutil.rmtree(sorted((target / "checkpoints").iterdir())[-1])
    return target


def as_before(run):
    """Make of a run one of an earlier version, where windows were for URLs alone, and every run recorded eight."""
    record = json.loads((run / "run.json").read_text())
    del record["came_to"]["shards_per_window"]
    (run / "run.json").write_text(json.dumps(record))
    lines = (run / "config.yaml").read_text().splitlines()
    changed = ["shards_per_window: 8" if line.startswith("shards_per_window:") else line for line in lines]
    assert changed.count("shards_per_window: 8") == 1
    (run / "config.yaml").write_text("\n".join(changed) + "\n")


def test_folders_are_read_in_the_windows_of_a_set_at_a_url(train, tmp_path):
    train("here", "SET", "--shards-per-window", 3)
    train("there", "file://SET", "--shards-per-window", 3)
    train("eight", "SET", "--shards-per-window", 8)
    train("mixed", "SET")
    assert weights(tmp_path / "here") == weights(tmp_path / "there")
    assert len({str(weights(tmp_path / name)) for name in ("here", "eight", "mixed")}) == 3


def test_a_run_in_windows_goes_on_exactly_and_in_no_others(train, tmp_path):
    windows = ["--shards-per-window", 8]
    train("whole", "SET", *windows)
    cut(tmp_path / "whole", tmp_path / "cut")
    refused = " ".join(train("cut", "SET", code=2).stderr.split())
    assert "--shards-per-window: 8 there, None now" in refused
    train("cut", "SET", *windows)
    for name in ("metrics.jsonl", "config.yaml"):
        ours = (tmp_path / "cut" / name).read_text().replace(str(tmp_path / "cut"), str(tmp_path / "whole"))
        assert (tmp_path / "whole" / name).read_text() == ours
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


@pytest.mark.parametrize("shards", ["SET", "file://SET"])
def test_a_run_of_before_goes_on_in_its_order(train, tmp_path, shards):
    train("whole", shards)
    old = cut(tmp_path / "whole", tmp_path / "old")
    as_before(old)
    other = {"SET": 8, "file://SET": 3}[shards]
    refused = " ".join(train("old", shards, "--shards-per-window", other, code=2).stderr.split())
    assert f"--shards-per-window: {'None' if shards == 'SET' else 8} there, {other} now" in refused
    train("old", shards)
    assert weights(old) == weights(tmp_path / "whole")
