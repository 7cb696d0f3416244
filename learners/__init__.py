"""Learners: a backbone and what trains it on a multi-viewed batch. Importing this does not import torch.

backbone = create_backbone("resnet18", image_size=32)
learner = create_learner("simclr", backbone, temperature=0.2)
loss, hardness, embeddings = learner(views, groups)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .recipe import OptimizerRecipe
from .registry import (
    BACKBONES,
    LEARNERS,
    backbone_names,
    check_learner,
    create_backbone,
    create_learner,
    learner_names,
    learner_option_types,
    learner_options,
    learner_recipe,
)

if TYPE_CHECKING:
    from .base import Learner, LearnerOutput
    from .batchnorm import convert_sync_batchnorm

__all__ = [
    "BACKBONES",
    "LEARNERS",
    "Learner",
    "LearnerOutput",
    "OptimizerRecipe",
    "backbone_names",
    "check_learner",
    "convert_sync_batchnorm",
    "create_backbone",
    "create_learner",
    "learner_names",
    "learner_option_types",
    "learner_options",
    "learner_recipe",
]

_WITH_TORCH = {"Learner": ".base", "LearnerOutput": ".base", "convert_sync_batchnorm": ".batchnorm"}


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is first asked for (PEP 562)."""
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WITH_TORCH[name], __name__), name)
