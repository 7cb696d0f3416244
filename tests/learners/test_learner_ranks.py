"""Two processes compute what one computes on the whole batch: losses, gradients, statistics, weights and queue."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from synthcl.learners import learner_names

WORLD_SIZE = 2
TOLERANCE = 1e-9  # float64, relative to the largest value
CHECKS = {
    **{f"loss {name}": TOLERANCE for name in ("ppcl", "ppcl without synthetic negatives", "barlow", "vicreg")},
    **{f"learner {name}": TOLERANCE for name in learner_names()},
    **{f"learner {name} in parts": TOLERANCE for name in learner_names()},
    "learner dino with local views": TOLERANCE,
    **{f"learner {name} with clsp": TOLERANCE for name in ("simclr", "moco")},
    **{
        f"batchnorm {name}": TOLERANCE
        for name in ("plain", "images", "cumulative", "not affine", "without running statistics")
    },
    "batchnorm bfloat16": 5e-3,  # one unit in the last place of bfloat16
    "collectives": 0.0,
    "queues": 0.0,
}


@pytest.fixture(scope="module")
def differences(tmp_path_factory) -> list[dict[str, dict[str, float]]]:
    """What each of the processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, str(Path(__file__).with_name("rank_worker.py")), str(WORLD_SIZE), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(WORLD_SIZE)]


def test_every_check_is_asserted(differences):
    assert all(set(found) == set(CHECKS) for found in differences)


@pytest.mark.parametrize("check", CHECKS)
def test_two_processes_are_one(differences, check):
    for found in differences:
        assert found[check]
        too_large = {key: value for key, value in found[check].items() if not value <= CHECKS[check]}
        assert not too_large
