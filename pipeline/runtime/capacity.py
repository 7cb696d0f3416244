"""How much of this machine one process may use: its cores and its memory. Imports neither torch nor NumPy."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError
from .srun import task_cores

_GIB = 2**30

CACHE_VARIABLE = "SYNTHCL_CACHE_BYTES"
CACHE_BYTES = 32 << 30
"""The bound of a cache on disk without that variable. Ours."""


def default_cache() -> Path:
    """The folder of cached files: SYNTHCL_CACHE, or `synthcl` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SYNTHCL_CACHE") or Path(base) / "synthcl")


def cache_bytes() -> int:
    """The most bytes that each cache takes, that of shards from URLs and that of decoded images.

    Raises:
        UsageError: SYNTHCL_CACHE_BYTES is no number of bytes.
    """
    given = os.environ.get(CACHE_VARIABLE, str(CACHE_BYTES))
    if not given.isdecimal():
        raise UsageError(f"{CACHE_VARIABLE} is {given!r}; give a number of bytes, such as {CACHE_BYTES}")
    return int(given)


def available_cores() -> int:
    """How many cores this process has: those it may run on, shared between the processes that a launcher started; of
    a task of Slurm, which may have cores of its own, no more than Slurm means it to have."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    own = task_cores()
    if own is None:
        own = cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(cores, own))


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
