"""What identifies a generator wherever it came from: its class and its weights, as they are in memory.

Files are no guide: a pipeline has folders of them, one on the hub has none here, and a class of the user's needs none.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import torch

from .base import Generator


def fingerprint(generator: Generator) -> str:
    """SHA-256, in hex, over a generator's class and all of its weights and buffers.

    Of a class that is not this package's the source of its module counts too. What else a sample depends on is in the
    generator's `recipe`.
    """
    return fingerprint_of(type(generator), generator.state_dict())


def fingerprint_of(cls: type[Generator], weights: Mapping[str, Any]) -> str:
    """`fingerprint` of a generator of a class with these weights and buffers, by name."""
    digest = hashlib.sha256(f"{cls.__module__}:{cls.__qualname__}\n".encode())
    if not cls.__module__.startswith(f"{__package__}."):
        digest.update(_source(cls).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def config_hash(*configs: Mapping[str, Any]) -> str:
    """16 hex digits of configurations; entries that begin with an underscore (paths, versions) do not count."""
    kept = [{name: value for name, value in config.items() if not name.startswith("_")} for config in configs]
    text = json.dumps(kept, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _source(cls: type) -> str:
    module = inspect.getmodule(cls)
    try:
        return inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):  # typed into an interpreter: there is no file
        return ""
