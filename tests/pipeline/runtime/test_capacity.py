"""How much RAM and how many cores there are: the least of what the machine and the container allow, shared by local
processes."""

import pytest

from synthcl.pipeline.runtime import capacity
from synthcl.pipeline.runtime.srun import join_step


@pytest.mark.parametrize(("free", "limit", "expected"), [(100, None, 100), (100, 40, 40), (None, 70, 70), (30, 40, 30)])
def test_the_least_limit_counts(monkeypatch, free, limit, expected):
    monkeypatch.setattr(capacity, "_meminfo", lambda: free)
    monkeypatch.setattr(capacity, "_cgroup", lambda: limit)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert capacity.available_ram() == expected
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert capacity.available_ram() == expected // 2


def test_this_machine_has_some():
    assert capacity.available_ram() > 2**20


TASK = {
    "SLURM_STEP_ID": "0", "SLURM_JOB_ID": "5", "SLURM_STEP_NUM_TASKS": "16", "SLURM_PROCID": "3", "SLURM_LOCALID": "3",
    "SLURM_NODEID": "0", "SLURM_STEP_TASKS_PER_NODE": "8(x2)", "SLURM_STEP_NODELIST": "gpu[03-04]",
}  # fmt: skip
CORES = {
    "alone": (8, {}, 8),
    "torchrun": (8, {"LOCAL_WORLD_SIZE": "4"}, 2),
    "more processes than cores": (2, {"LOCAL_WORLD_SIZE": "4"}, 1),
    "a task with cores of its own": (8, {**TASK, "SLURM_CPUS_PER_TASK": "8"}, 8),
    "tasks that may run anywhere": (64, {**TASK, "SLURM_CPUS_PER_TASK": "8"}, 8),
    "a task that was given fewer than the script asked for": (1, {**TASK, "SLURM_CPUS_PER_TASK": "8"}, 1),
    "a task with the cores of its GPU": (8, {**TASK, "SLURM_CPUS_ON_NODE": "64"}, 8),
    "tasks that share a socket": (32, {**TASK, "SLURM_CPUS_ON_NODE": "64"}, 8),
    "a task of which Slurm says nothing": (64, TASK, 8),
    "torchrun in a task": (
        16, {**TASK, "SLURM_CPUS_PER_TASK": "16", "WORLD_SIZE": "64", "RANK": "9", "LOCAL_WORLD_SIZE": "4"}, 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("may_use", "variables", "expected"), CORES.values(), ids=CORES.keys())
def test_cores_are_shared_by_the_processes_that_have_the_same_ones(monkeypatch, may_use, variables, expected):
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(capacity.os, "sched_getaffinity", lambda _: set(range(may_use)), raising=False)
    joined = dict(variables)
    join_step(joined)
    for name, value in joined.items():
        monkeypatch.setenv(name, value)
    assert capacity.available_cores() == expected
