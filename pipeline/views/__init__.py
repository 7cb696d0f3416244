"""Views: batched, differentiable augmentation on the device of the images, each sample with its own parameters.

    augmentation = Augmentation("mocov2-cifar", size=32)
    views = multi_view(to_float(images), numbers, 2, augmentation, key)  # (2N, 3, 32, 32) in [0, 1]
    encoder(normalize(views))

The names below are imported when first used, so that `presets` can be read (for `--help`) without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .augmentation import Augmentation
    from .multiview import MAX_VIEWS, multi_view
    from .normalization import IMAGENET_MEAN, IMAGENET_STD, denormalize, normalize, to_float
    from .presets import PRESETS, AugmentationParameters, default_preset, find_preset

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_VIEWS",
    "PRESETS",
    "Augmentation",
    "AugmentationParameters",
    "default_preset",
    "denormalize",
    "find_preset",
    "multi_view",
    "normalize",
    "to_float",
]

_MODULES = {
    "augmentation": ("Augmentation",),
    "multiview": ("MAX_VIEWS", "multi_view"),
    "normalization": ("IMAGENET_MEAN", "IMAGENET_STD", "denormalize", "normalize", "to_float"),
    "presets": ("PRESETS", "AugmentationParameters", "default_preset", "find_preset"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
