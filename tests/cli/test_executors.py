"""`generate --executor`, as users call it."""

from pathlib import Path


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
