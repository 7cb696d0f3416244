"""Freed memory kept by the process, on a CPU.

Training allocates and frees the same large tensors at each step. glibc hands such blocks back to the kernel at each
free, and each step then pays for clearing and mapping them again, page by page: see benchmarks/speed.md for how much.
"""

from __future__ import annotations

import ctypes
import logging
import platform

log = logging.getLogger(__name__)

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
LARGEST_KEPT = 32 * 2**20
"""Bytes of the largest block that comes from the heap: all that glibc allows for."""
KEPT_AT_MOST = 256 * 2**20
"""Bytes at the end of the heap that stay with the process when they are free. Ours; 1 GiB was no quicker."""


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, for its next allocation.

    Results do not depend on it. Peak memory grew by 1% and 3% where it was measured.

    Returns:
        Whether it took effect: it does with glibc alone, and elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    kept = bool(mallopt(_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, KEPT_AT_MOST))
    if not kept:
        log.debug("malloc did not take the thresholds; steps will be slower and otherwise the same")
    return kept
