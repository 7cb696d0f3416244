"""What this installation and this machine are: for the record of a run, and for reports of faults (`synthcl env`)."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "SYNTHCL_CACHE",
    "SYNTHCL_CACHE_BYTES", "SYNTHCL_EXACT", "NVIDIA_TF32_OVERRIDE", "XDG_CACHE_HOME", "WANDB_MODE", "RAY_ADDRESS",
    "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE",
)  # fmt: skip
"""Variables of the environment that change what synthcl does; shown where they are set."""

RECORDED = ("synthcl", "torch", "torchvision", "accelerate", "diffusers", "webdataset", "pyarrow")
"""Packages whose versions a run records."""

CPU_FILE = Path("/proc/cpuinfo")
"""Where Linux names the CPU."""


def record_environment() -> dict[str, Any]:
    """What a run records of where it ran: `versions` of Python and of packages, and `hardware`, with `exact` where a
    GPU was to compute float32 exactly."""
    import torch

    from .precision import is_exact

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
    return {
        "versions": {"python": platform.python_version(), **{name: version_of(name) for name in RECORDED}},
        "hardware": {
            "device": device,
            "cpu_threads": torch.get_num_threads(),
            "system": platform.system(),
            **({"exact": True} if is_exact() else {}),
        },
    }


def describe_environment() -> dict[str, Any]:
    """Versions, devices and what the CPU can do, as plain values.

    Returns:
        `synthcl`, `python`, `system` and `packages` (versions; None for an optional one that is not installed), `cpu`
        (architecture, name, cores this process may use, threads of torch, instructions that its kernels use),
        `devices` (name and bytes of memory of each accelerator), `cuda` and `cudnn` (versions that torch was built
        with, or None), and `variables`, those of `VARIABLES` that are set.
    """
    import torch

    from .capacity import available_ram

    return {
        "synthcl": version_of("synthcl"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "packages": {name: version_of(name) for name in required_packages()},
        "cpu": {
            "architecture": platform.machine(),
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "capability": torch.backends.cpu.get_cpu_capability(),
            "ram_free": available_ram(),
        },
        "devices": _devices(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "executable": sys.executable,
    }


def processor() -> str:
    """What the system calls the CPU (Linux tells; elsewhere the architecture), and the instructions that torch uses:
    "AMD EPYC, AVX512"."""
    import torch

    lines = CPU_FILE.read_text().splitlines() if CPU_FILE.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.machine())}, {torch.backends.cpu.get_cpu_capability()}"


def required_packages() -> list[str]:
    """The packages that synthcl names as its own, optional ones too, but for those of its tests and documentation."""
    wanted = importlib.metadata.requires("synthcl") or []
    names = [
        re.split(r"[^A-Za-z0-9._-]", line)[0] for line in wanted if not re.search(r"extra == .(docs|lint|test)\b", line)
    ]
    return list(dict.fromkeys(names))


def version_of(package: str) -> str | None:
    """The version that is installed; None if it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found.append({"device": f"cuda:{index}", "name": facts.name, "memory": facts.total_memory})
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if not found and accelerator is not None:
        found.append({"device": str(accelerator), "name": accelerator.type, "memory": None})
    return found
