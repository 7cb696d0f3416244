"""`generate --executor`, as users call it."""

import importlib.util
from pathlib import Path

import pytest


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_set_is_that_of_one_process(synthcl, generator, tmp_path, slurm_here):
    common = ["--generator", generator, "--num-samples", 10, "--samples-per-shard", 3, "--workers", 0]
    synthcl("generate", *common, "--out", tmp_path / "whole")
    out = tmp_path / "a set"
    result = synthcl("generate", *common, "--out", out, "--executor", "slurm", "--num-jobs", 2)
    assert contents(out) == contents(tmp_path / "whole")
    assert f"next: synthcl shards list '{out}'" in result.stderr
    assert f"once no task is left: synthcl shards verify '{out}'" in result.stderr
    assert "squeue --job 17" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray")
def test_a_set_is_made_by_ray_on_this_machine(synthcl, generator, tmp_path, capfd):
    """On a cluster of its own, by a worker that loads the generator."""
    common = ["generate", "--generator", generator, "--num-samples", 10, "--samples-per-shard", 3, "--pairs"]
    synthcl(*common, "--out", tmp_path / "whole", "--workers", 0)
    result = synthcl(*common, "--out", tmp_path / "set", "--executor", "ray", "--ray-workers", 1, "--json")
    assert result.json["written"] == 10 and result.json["complete"] and result.json["out"] == str(tmp_path / "set")
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert not capfd.readouterr().out


def test_ray_that_is_not_installed_is_named(synthcl, generator, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else real(name, *more))
    call = ["generate", "--generator", generator, "--num-samples", 10, "--out", tmp_path / "s", "--executor", "ray"]
    assert "pip install ray" in synthcl(*call, code=2).stderr


def test_the_script_alone_is_written_where_there_is_no_sbatch(synthcl, generator, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    common = ["generate", "--generator", generator, "--num-samples", 10, "--out", tmp_path / "s", "--executor", "slurm"]
    refused = synthcl(*common, code=2)
    assert "needs sbatch, which is not on the PATH" in refused.stderr and "--no-submit" in refused.stderr
    assert not (tmp_path / "s-slurm").exists()
    result = synthcl(*common, "--no-submit", "--json")
    assert result.json["job_id"] is None and Path(result.json["script"]).read_text().startswith("#!/bin/bash\n#SBATCH")
    assert "next: sbatch " in synthcl(*common, "--no-submit").stderr


def test_wrong_generators_are_told_before_there_is_a_job(synthcl, tmp_path, slurm_here):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"command": "pretrain"}')
    call = ["generate", "--generator", tmp_path / "run", "--num-samples", 10, "--out", tmp_path / "s"]
    assert "is not finished" in synthcl(*call, "--executor", "slurm", code=1).stderr
    assert not slurm_here.exists() and not (tmp_path / "s-slurm").exists()
