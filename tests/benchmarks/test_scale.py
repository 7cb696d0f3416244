"""The benchmark of scale: a large set is a small one many times, and a set like any other."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.shards import open_shard_set, write_shard_set

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("scale")


def test_a_large_set_is_a_small_one_many_times(scale, tmp_path):
    write_shard_set(str(tmp_path / "base"), {"seed": 0}, 10, 10, scale.noise(16), workers=0)
    shards = open_shard_set(scale.enlarge(tmp_path / "base", tmp_path / "large", 3))
    assert len(shards) == 30 and shards.info.complete
    images = shards.read_views(np.arange(30)).numpy()
    assert (images[:10] == scale.noise(16)(np.arange(10))).all()
    assert (images[10:20] == images[:10]).all() and (images[20:] == images[:10]).all()
    assert shards.column("sample_index").tolist() == list(range(30))


@pytest.mark.slow
def test_a_training_tells_what_it_took(scale, monkeypatch, capsys):
    words = ["--samples", "20", "--per-shard", "20", "--ranks", "", "--steps", "8", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["scale.py", *words, "--batch-size", "8", "--data", "digits[:32]"])
    scale.main()
    found = json.loads(capsys.readouterr().out)
    assert found["samples"].keys() == {"20"} and found["ranks"] == {}
    assert all(float(row[name].split()[0]) > 0 for row in found["samples"].values() for name in row)


def test_sizes_are_of_whole_shards(scale, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scale.py", "--samples", "15"])
    with pytest.raises(SystemExit):
        scale.main()
    assert "multiples of 10,000" in capsys.readouterr().err
