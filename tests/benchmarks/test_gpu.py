"""The stages that wait for a GPU, at toy length on a CPU: they run, go on where they stopped, and end in a table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def stage(name, out, *options):
    toy = os.environ | {"TOY": "1", "PYTHON": sys.executable}
    return subprocess.run([BENCHMARKS / "gpu.sh", name, out, *options], capture_output=True, text=True, env=toy)


@pytest.mark.parametrize("arguments", [("nonsense", "OUT"), ("check", "OUT", "--batch", "3"), ("check",)])
def test_the_stages_refuse_what_they_do_not_know(tmp_path, arguments):
    arguments = [str(tmp_path) if each == "OUT" else each for each in arguments]
    done = subprocess.run([BENCHMARKS / "gpu.sh", *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode in (1, 2) and done.stderr


@pytest.mark.slow
def test_the_study_runs_stage_by_stage_and_a_stage_that_is_done_does_nothing(tmp_path):
    wanted = ["study-simclr-real", "study-moco-online"]
    for name in ("gan", *wanted, wanted[-1]):
        done = stage(name, tmp_path)
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "study.jsonl").read_text().splitlines()]
    assert [(row["learner"], row["arm"]) for row in rows] == [("simclr", "real"), ("moco", "online")]
    table = stage("table", tmp_path).stdout.splitlines()
    assert len(table) == 2 + len(rows) and "| moco | `online` | 0 |" in table[-1]


@pytest.mark.slow
def test_a_stage_whose_time_is_over_says_so_with_its_own_exit_code(tmp_path):
    done = stage("gan", tmp_path, "--seconds", "10")  # under 15 there is no time to begin
    assert done.returncode == 75 and "call it again" in done.stderr
