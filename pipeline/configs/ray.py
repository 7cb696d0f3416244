"""Options of commands that can run on a Ray cluster. Imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..options.config import Config, option


@dataclass(kw_only=True)
class RayConfig(Config):
    """Where a command's work is done, and the workers of a cluster."""

    executor: str = option(
        "local",
        help="Who does the work: this process (local), or the workers of a Ray cluster, each part by one that is free "
        "(ray).",
        choices=("local", "ray"),
        group="Executor",
    )
    ray_address: str | None = option(
        None,
        help="The Ray cluster: host:port, or auto for the one that was started on this machine. [default: that of "
        "RAY_ADDRESS, else a new one of this machine alone]",
        metavar="ADDRESS",
        needs="executor=ray",
        group="Executor",
    )
    ray_workers: int | None = option(
        None,
        help="Workers, each with its model loaded; as many as the cluster has room for if not given.",
        minimum=1,
        needs="executor=ray",
        group="Executor",
    )
    worker_cpus: float = option(1.0, help="CPUs of each worker.", above=0, needs="executor=ray", group="Executor")
    worker_gpus: float | None = option(
        None,
        help="GPUs of each worker; with a part of one, several share it. One, if the cluster has any, if not given.",
        minimum=0,
        needs="executor=ray",
        group="Executor",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.executor != "local" and os.environ.get("WORLD_SIZE", "1") != "1":
            raise UsageError(
                f"--executor {self.executor} starts its workers itself; call it without torchrun or accelerate launch"
            )

    def pool_options(self) -> dict[str, Any]:
        """The keyword arguments of `RayPool`."""
        return {
            "address": self.ray_address,
            "workers": self.ray_workers,
            "cpus": self.worker_cpus,
            "gpus": self.worker_gpus,
        }
