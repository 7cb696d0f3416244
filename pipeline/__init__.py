"""Images in, runs out: the functions that the command line and notebooks call.

Names load on first use, so that importing this costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "open_images": ".data",
    "pretrain": ".pretraining",
    "PretrainConfig": ".configs.pretrain",
    "generate": ".generation",
    "GenerateConfig": ".configs.generate",
    "train": ".training",
    "TrainConfig": ".configs.train",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name], __name__), name)
