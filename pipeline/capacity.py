"""How much of this machine one process may use: its cores and its memory. Imports neither torch nor NumPy."""

from __future__ import annotations

import os
from pathlib import Path

_GIB = 2**30


def available_cores() -> int:
    """How many cores this process has: those it may run on, shared between the processes that a launcher started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def available_ram() -> int:
    """Bytes of RAM that this process may fill: what is free within the container's limit, shared between local
    processes."""
    limits = [limit for limit in (_meminfo(), _cgroup()) if limit is not None]
    total = min(limits) if limits else 2 * _GIB  # ours: where the system does not tell, something any machine has
    return total // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _cgroup() -> int | None:
    """What is left of the memory limit of control groups, version 2."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used)
