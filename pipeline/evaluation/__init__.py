"""Evaluation of encoders (probes) and of synthetic images (quality).

    result = evaluate_linear("runs/real", "cifar10")
    print(result["top1"], result["top1_interval"])

The names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from .table import TASKS

if TYPE_CHECKING:
    from .alignment import alignment as alignment
    from .alignment import uniformity as uniformity
    from .features import cached_features as cached_features
    from .features import extract_features as extract_features

_EXPORTS = {"alignment": ["alignment", "uniformity"], "features": ["cached_features", "extract_features"]}
for _entry in TASKS.values():
    _EXPORTS.setdefault(_entry.module, []).append(_entry.function)

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_EXPORTS)
