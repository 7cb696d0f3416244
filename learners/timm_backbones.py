"""Encoders of the optional package timm, with untrained weights and without their classifier."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

timm: Any = importlib.import_module("timm") if importlib.util.find_spec("timm") is not None else None


def create_timm_backbone(name: str, *, image_size: int, other_sizes: Sequence[int] = ()) -> nn.Module:
    """A timm model as a backbone: images (N, 3, image_size, image_size) to features (N, F), F in `num_features`.

    Args:
        name: as timm knows it, without the name of any pretrained weights.
        image_size: pixels a side; told to models that are built for one size, as vision transformers are.
        other_sizes: pixels a side of other images that it is to take too. Vision transformers then interpolate their
            position embeddings (timm's `dynamic_img_size`); weights and features of `image_size` are the same.

    Raises:
        ValueError: timm is not installed, has no such model, or the model takes no images of one of these sizes.
    """
    if timm is None:
        raise ValueError(f"The backbone timm:{name} needs the package timm. Install it: pip install timm")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=5) or timm.list_models(f"*{name}*")[:5]
        hint = f" Near matches: {', '.join(near)}." if near else " timm.list_models() lists what there is."
        raise ValueError(f"timm {timm.__version__} has no model {name!r}.{hint}")
    try:
        model, _ = _build(name, img_size=image_size, **({"dynamic_img_size": True} if other_sizes else {}))
        model.num_features = _feature_size(model, image_size)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"The backbone timm:{name} cannot be used on images of {image_size} pixels: {error}. "
            "Choose another backbone or another image size."
        ) from error
    for size in other_sizes:
        try:
            _feature_size(model, size)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"The backbone timm:{name} for images of {image_size} pixels takes none of {size} pixels besides: "
                f"{str(error).rstrip('.')}. Choose another backbone, or for a vision transformer a multiple of its "
                "patches."
            ) from error
    return model


def size_options(name: str, image_size: int) -> dict[str, int]:
    """What timm's `create_model` must be told of the image size to build what `create_timm_backbone` builds.

    Neither a model's name nor its weights tell: of some models that are built for one size all shapes are the same.

    Args:
        name: as timm knows it; a model that takes images of this size.
        image_size: pixels a side.

    Returns:
        `img_size`, or nothing for a model that takes images of any size.
    """
    with torch.random.fork_rng(devices=[]):
        return _build(name, img_size=image_size)[1]


def _build(name: str, **options: int) -> tuple[Any, dict[str, int]]:
    """The model with those of the options that it has, and these."""
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, **options), options
    except TypeError as error:
        # The longer name first, of which the other is a part. A convolutional model has neither: any size will do.
        for refused in ("dynamic_img_size", "img_size"):
            if refused in options and refused in str(error):
                return _build(name, **{option: value for option, value in options.items() if option != refused})
        raise


@torch.no_grad()
def _feature_size(model: nn.Module, image_size: int) -> int:
    """What comes out, which for some models is not what timm calls `num_features`."""
    features = model.eval()(torch.zeros(1, 3, image_size, image_size))
    model.train()
    if features.dim() != 2:
        raise ValueError(f"it gives features of shape {tuple(features.shape[1:])} an image, where a vector is needed")
    return features.shape[1]
