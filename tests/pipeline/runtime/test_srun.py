"""What Slurm's variables say of training: whose task a process is, and where the others are."""

import pytest

from synthcl.pipeline.runtime.srun import PORTS, join_step, leave_step

TASK = {
    "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "6", "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "4,2", "SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_JOB_NODELIST": "gpu[01-04]",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.9",
}  # fmt: skip
SET = {
    "RANK": "5", "WORLD_SIZE": "6", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "gpu03",
    "MASTER_PORT": str(PORTS[(31 * 4711) % 20_000]),
}  # fmt: skip
ARRAY = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_NTASKS": "4"}

TOGETHER = {
    "srun": ({}, {}),
    "one machine": ({"SLURM_STEP_NUM_NODES": "1"}, {"MASTER_ADDR": "127.0.0.1"}),
    "a list of ranges": ({"SLURM_STEP_NODELIST": "r[1,3-4]n[2-5],big1"}, {"MASTER_ADDR": "r1n2"}),
    "a list of names": ({"SLURM_STEP_NODELIST": "a-1,b[2-3]"}, {"MASTER_ADDR": "a-1"}),
    "as many everywhere": ({"SLURM_STEP_TASKS_PER_NODE": "3(x2)"}, {"LOCAL_WORLD_SIZE": "3"}),
    "another step": ({"SLURM_STEP_ID": "2"}, {"MASTER_PORT": str(PORTS[(31 * 4711 + 2) % 20_000])}),
    "srun with PMI": ({"PMI_SIZE": "6", "PMI_RANK": "5"}, {}),
    "a script that counts the tasks": ({"WORLD_SIZE": "6"}, {}),
    "a script that chose the place": (
        {"MASTER_ADDR": "gpu04", "MASTER_PORT": "29500"},
        {"MASTER_ADDR": "gpu04", "MASTER_PORT": "29500"},
    ),
}
APART = {
    "no Slurm": {},
    "a batch script": {"SLURM_JOB_ID": "9", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
    "a task of an array": {**ARRAY, "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
    "a batch step": {**TASK, "SLURM_STEP_ID": str(0xFFFFFFFB)},
    "an interactive step": {**TASK, "SLURM_STEP_ID": str(0xFFFFFFFA), "SLURM_STEP_NUM_TASKS": "1"},
    "one task of a large allocation": {**TASK, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    "a shell by srun --pty": {**TASK, "SLURM_PTY_PORT": "41311"},
    "torchrun in each task": {**TASK, "WORLD_SIZE": "24", "RANK": "20", "LOCAL_RANK": "0"},
    "each alone, on purpose": {**TASK, "WORLD_SIZE": "1"},
    "Open MPI": {**TASK, "OMPI_COMM_WORLD_SIZE": "12"},
    "MVAPICH": {**TASK, "MV2_COMM_WORLD_SIZE": "12"},
    "Hydra, which srun starts on each machine": {**TASK, "PMI_SIZE": "12", "PMI_RANK": "7"},
    "a damaged environment": {**TASK, "SLURM_PROCID": "six"},
}


@pytest.mark.parametrize(("changes", "expected"), TOGETHER.values(), ids=TOGETHER.keys())
def test_tasks_of_a_step_train_together(changes, expected):
    variables = {**TASK, **changes}
    assert join_step(variables)
    assert {name: variables[name] for name in SET} == {**SET, **expected}
    again = dict(variables)
    assert join_step(again) and again == variables


@pytest.mark.parametrize("given", APART.values(), ids=APART.keys())
def test_what_is_no_task_of_a_step_is_left_as_it_is(given):
    variables = dict(given)
    assert not join_step(variables)
    assert variables == given


def test_the_first_task_alone_tells(caplog):
    join_step({**TASK})
    assert not caplog.text
    join_step({**TASK, "SLURM_PROCID": "0"})
    assert "the 6 tasks of this Slurm step train together, and meet at gpu03:" in caplog.text
    assert "set WORLD_SIZE=1" in caplog.text


PMI = {"PMI_SIZE": "6", "PMI_RANK": "5"}
LEFT = {
    "srun with PMI": ({**TASK, **PMI}, True),
    "each alone, on purpose": ({**TASK, **PMI, "WORLD_SIZE": "1", "MASTER_ADDR": "gpu03"}, True),
    "a script that counts the tasks": ({**TASK, **PMI, "WORLD_SIZE": "6"}, False),
    "a script that chose the place": ({**TASK, **PMI, "MASTER_ADDR": "gpu04"}, False),
    "torchrun in each task": ({**TASK, **PMI, "WORLD_SIZE": "1", "RANK": "0"}, False),
    "Hydra on this machine": (PMI, False),
    "Hydra, which srun starts on each machine": ({**TASK, "PMI_SIZE": "12", "PMI_RANK": "7"}, False),
}


@pytest.mark.parametrize(("given", "alone"), LEFT.values(), ids=LEFT.keys())
def test_a_task_that_works_alone_forgets_by_what_mpi_would_find_the_others(given, alone):
    variables = dict(given)
    leave_step(variables)
    assert variables == ({name: given[name] for name in given if name not in PMI} if alone else given)


def test_tasks_that_train_alone_on_purpose_are_not_looked_for_by_mpis_numbers():
    variables = {**TASK, **PMI, "WORLD_SIZE": "1"}
    assert not join_step(variables) and not PMI.keys() & variables.keys()
