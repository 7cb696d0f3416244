"""Evaluation of encoders (probes) and of synthetic images (quality).

    result = evaluate_linear("runs/real", "cifar10")
    print(result["top1"], result["top1_interval"])

The names below are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .alignment import alignment, uniformity
    from .features import cached_features, extract_features
    from .probes import evaluate_finetune, evaluate_knn, evaluate_linear
    from .quality import evaluate_quality
    from .representation import evaluate_alignment
    from .robustness import evaluate_robustness
    from .transfer import evaluate_transfer

_HOMES = {
    "alignment": "alignment",
    "cached_features": "features",
    "evaluate_alignment": "representation",
    "evaluate_finetune": "probes",
    "evaluate_knn": "probes",
    "evaluate_linear": "probes",
    "evaluate_quality": "quality",
    "evaluate_robustness": "robustness",
    "evaluate_transfer": "transfer",
    "extract_features": "features",
    "uniformity": "alignment",
}

__all__ = [
    "alignment",
    "cached_features",
    "evaluate_alignment",
    "evaluate_finetune",
    "evaluate_knn",
    "evaluate_linear",
    "evaluate_quality",
    "evaluate_robustness",
    "evaluate_transfer",
    "extract_features",
    "uniformity",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
