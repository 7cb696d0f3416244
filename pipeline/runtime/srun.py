"""Training under `srun`: the tasks of a Slurm step are the processes of one run.

`srun` tells its tasks their numbers in variables of its own, which neither torch nor Accelerate reads. Without this,
eight tasks would be eight runs of one process in one folder.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, MutableMapping

log = logging.getLogger(__name__)

MAX_STEP = 0xFFFFFFF0
"""The last number of a step that `srun` starts (SLURM_MAX_NORMAL_STEP_ID): batch scripts and interactive shells have
higher ones."""
OTHER_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
COUNTED = (("WORLD_SIZE", "RANK"), ("PMI_SIZE", "PMI_RANK"))
"""Variables that another launcher may have set, or `srun` itself and the batch script, to the step's own numbers."""
PORTS = range(10_000, 30_000)
"""Where the processes meet, by the job's number. Ours: above the reserved ports, below those that systems give away."""


def join_step(variables: MutableMapping[str, str] = os.environ) -> bool:
    """Have the tasks of the Slurm step that this process is one of train together, as under `torchrun`.

    Sets RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT where they are not set. Nothing is
    done outside of a step of several tasks, in a shell that `srun --pty` opened, and where another launcher counts:
    with WORLD_SIZE=1 each task trains alone.

    Args:
        variables: the environment.

    Returns:
        Whether this process is a task of such a step.
    """
    if not _is_task(variables):
        leave_step(variables)
        return False
    rank, size = variables["SLURM_PROCID"], variables["SLURM_STEP_NUM_TASKS"]
    job, step = (int(variables.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    found = {
        "RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_RANK": variables["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": str(_local_tasks(variables)),
        "MASTER_ADDR": _first_host(variables),
        # Two steps of a job may run at once, and two jobs on one machine.
        "MASTER_PORT": str(PORTS[(31 * job + step) % len(PORTS)]),
    }
    new = "RANK" not in variables
    for name, value in found.items():
        variables.setdefault(name, value)
    if new and rank == "0":
        log.warning(
            "the %s tasks of this Slurm step train together, and meet at %s:%s; set WORLD_SIZE=1 to have each train "
            "alone",
            size,
            variables["MASTER_ADDR"],
            variables["MASTER_PORT"],
        )
    return True


def leave_step(variables: MutableMapping[str, str] = os.environ) -> None:
    """Have a task of a Slurm step that works alone be found alone: forget the numbers that `srun --mpi=pmi2` tells MPI
    (PMI_SIZE), by which Accelerate would look for the others.

    Nothing is done where a script has the tasks meet: by RANK, by another WORLD_SIZE than 1, or by a MASTER_ADDR
    without it.

    Args:
        variables: the environment.
    """
    of_step = {name: value for name, value in variables.items() if name != "WORLD_SIZE"}
    alone = variables.get("WORLD_SIZE", "1" if "MASTER_ADDR" not in variables else "") == "1"
    if alone and "RANK" not in variables and _is_task(of_step):
        for name in ("PMI_SIZE", "PMI_RANK"):
            variables.pop(name, None)


def task_cores(variables: Mapping[str, str] = os.environ) -> int | None:
    """How many cores Slurm means this task of a step to have, whichever it may run on: what was asked for a task, or
    its share of the machine's. None where it does not say, and in processes that are no such task."""
    if not _is_task(variables):
        return None
    asked, of_machine = (variables.get(name, "") for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"))
    if asked.isdecimal():
        return int(asked)
    return int(of_machine) // _local_tasks(variables) if of_machine.isdecimal() else None


def _is_task(variables: Mapping[str, str]) -> bool:
    """Whether this is a task of a step of several that no other launcher counts otherwise."""
    names = ("SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID")
    step, size, rank, local = (variables.get(name, "") for name in names)
    if not all(value.isdecimal() for value in (step, size, rank, local)):
        return False
    if int(size) < 2 or int(rank) >= int(size) or int(step) > MAX_STEP:
        return False
    if "SLURM_PTY_PORT" in variables or any(name in variables for name in OTHER_LAUNCHERS):
        return False
    return all(variables.get(of, size) == size and variables.get(own, rank) == rank for of, own in COUNTED)


def _local_tasks(variables: Mapping[str, str]) -> int:
    """How many tasks of the step this machine has; SLURM_STEP_TASKS_PER_NODE is such as `4(x2),3`."""
    counts: list[int] = []
    for part in variables.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if (match := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)) is not None:
            counts += [int(match[1])] * int(match[2] or 1)
    node = variables.get("SLURM_NODEID", "0")
    if node.isdecimal() and int(node) < len(counts):
        return counts[int(node)]
    return int(variables["SLURM_LOCALID"]) + 1  # as many as are known of


def _first_host(variables: Mapping[str, str]) -> str:
    """The machine of the first task. Lists are such as `gpu[03-05,9],big1`."""
    if variables.get("SLURM_STEP_NUM_NODES", variables.get("SLURM_NNODES")) == "1":
        return "127.0.0.1"
    for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"):
        if hosts := variables.get(name):
            first = re.sub(r"\[([^],-]*)[^]]*\]", r"\1", hosts)
            return first.partition(",")[0]
    return variables.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")
