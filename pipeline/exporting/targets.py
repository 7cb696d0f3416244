"""What an encoder can be exported to: whose architecture it is there, and the lines that load it.

The names of the state dict are torchvision's, and timm's residual nets have the same, so weights go over as they are;
what differs is the stem. Up to `SMALL_IMAGE_SIZE` pixels ours is a 3 x 3 convolution without max-pooling, which neither
package builds, so the lines put it in place. With the usual stem the weights load as they are but for the classifier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...learners.backbones import SMALL_IMAGE_SIZE
from ..encoder import Encoder
from ..errors import UsageError

RESNETS = ("resnet18", "resnet34", "resnet50")
"""What torchvision and timm both have."""
TIMM_PREFIX = "timm:"
INTERPOLATION = "bicubic"
"""How images are brought to the encoder's size for evaluations: the short side is resized so, the centre is cropped."""


@dataclass(frozen=True)
class Target:
    """An encoder as another package takes it.

    Attributes:
        library: whose it is, for the model card.
        config: further entries of config.json.
        loading: lines of Python that make `model` of WEIGHTS, to be replaced by the name of the file. Where that is a
            .pth, `load_file(...)` becomes `torch.load(..., weights_only=True)`.
    """

    library: str
    config: dict[str, Any] = field(default_factory=dict)
    loading: str = ""


def torchvision_target(encoder: Encoder) -> Target:
    """Raises UsageError for a backbone that torchvision lacks."""
    if encoder.name not in RESNETS:
        raise UsageError(_no_counterpart(encoder.name, "torchvision", ", ".join(RESNETS)))
    lines = [
        "import torch",
        "from safetensors.torch import load_file",
        f"from torchvision.models import {encoder.name}",
        "",
        f"model = {encoder.name}()",
        *_stem_lines(encoder),
        "model.fc = torch.nn.Identity()  # features instead of classes",
        "model.load_state_dict(load_file(WEIGHTS))",
        "model.eval()",
    ]
    return Target("torchvision", {"architecture": encoder.name}, "\n".join(lines))


def timm_target(encoder: Encoder) -> Target:
    """Raises UsageError for a backbone that timm lacks."""
    name = encoder.name.removeprefix(TIMM_PREFIX)
    if encoder.name not in RESNETS and not encoder.name.startswith(TIMM_PREFIX):
        raise UsageError(_no_counterpart(encoder.name, "timm", ", ".join(RESNETS) + " and timm:NAME"))
    size = _size_options(encoder)
    arguments = "".join(f", {option}={value}" for option, value in size.items())
    lines = [
        "import timm",
        "import torch",
        "from safetensors.torch import load_file",
        "",
        f'model = timm.create_model("{name}", num_classes=0{arguments})',
        *_stem_lines(encoder),
        "model.load_state_dict(load_file(WEIGHTS))",
        "model.eval()",
    ]
    config = {
        "architecture": name,
        "num_classes": 0,
        "pretrained_cfg": {
            "input_size": [3, encoder.image_size, encoder.image_size],
            "num_classes": 0,
            "crop_pct": 1.0,
            "interpolation": INTERPOLATION,
        },
        **({"model_args": size} if size else {}),  # what timm builds the model with where it is given the folder
    }
    return Target("timm", config, "\n".join(lines))


def safetensors_target(encoder: Encoder) -> Target:
    """Any backbone: what synthcl itself builds. The folder is one that `load_encoder` takes too."""
    lines = [
        "import torch",
        "from safetensors.torch import load_file",
        "from synthcl.learners import create_backbone",
        "",
        f'model = create_backbone("{encoder.name}", image_size={encoder.image_size})',
        "model.load_state_dict(load_file(WEIGHTS))",
        "model.eval()",
    ]
    return Target("synthcl", {}, "\n".join(lines))


TARGETS: dict[str, Callable[[Encoder], Target]] = {
    "torchvision": torchvision_target,
    "timm": timm_target,
    "safetensors": safetensors_target,
}


def has_small_stem(encoder: Encoder) -> bool:
    """Whether the encoder is a residual net of ours with the 3 x 3 stem."""
    return not encoder.name.startswith(TIMM_PREFIX) and encoder.image_size <= SMALL_IMAGE_SIZE


def _size_options(encoder: Encoder) -> dict[str, int]:
    """What timm must be told of the image size to build the encoder's backbone."""
    if not encoder.name.startswith(TIMM_PREFIX):
        return {}
    from ...learners.timm_backbones import size_options  # here, since it imports timm, which is slow

    return size_options(encoder.name.removeprefix(TIMM_PREFIX), encoder.image_size)


def _stem_lines(encoder: Encoder) -> list[str]:
    if not has_small_stem(encoder):
        return []
    return [
        "# The stem for small images: 3 x 3 convolution without stride, no max-pooling.",
        "model.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)",
        "model.maxpool = torch.nn.Identity()",
    ]


def _no_counterpart(name: str, package: str, known: str) -> str:
    return (
        f"the backbone {name} has no counterpart in {package}, which {known} have; --to safetensors takes any backbone"
    )
