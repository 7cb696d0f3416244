"""What works on a node of a cluster, and what it does there before anything else."""

from __future__ import annotations

import os
from typing import Any, Protocol

from ..errors import DataError

LAUNCHERS = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables by which a launcher says that a process is one of several: one may have started Ray on the nodes."""


class Worker(Protocol):
    """What works in an actor. `work` is called by several threads at once, `progress` by another."""

    def open(self) -> Any:
        """Open what the work takes; the answer goes to `RayPool.first` and to `check` of `RayPool.run`."""

    def start(self, index: int, size: int) -> None:
        """Begin to work, as worker number `index`, from 1, which no other has or had, of about `size`."""

    def work(self, item: int) -> Any:
        """Do an item."""

    def progress(self) -> dict[int, int]:
        """How much of each item at hand is done."""

    def close(self) -> None:
        """Let go of everything."""


def enter_node(folder: str, gpu: bool) -> None:
    """Make this process one that works by itself in a folder, before anything is loaded.

    Args:
        folder: the one that relative paths in the options start from.
        gpu: whether it may use one.

    Raises:
        DataError: the folder is not on this node.
    """
    for name in LAUNCHERS:
        os.environ.pop(name, None)
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        os.chdir(folder)
    except OSError as error:
        raise DataError(f"this node cannot enter {folder}, which paths start from: {error.strerror}") from None
