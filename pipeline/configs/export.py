"""Options of `synthcl export`."""

from __future__ import annotations

from dataclasses import dataclass

from ..options.config import Config, option
from . import common

EXPORT_TARGETS = ("torchvision", "timm", "safetensors")


@dataclass(kw_only=True)
class ExportConfig(Config):
    to: str = option(
        "safetensors",
        help="Whose names and configuration the weights get: torchvision and timm for the backbones they have too, "
        "safetensors for any.",
        choices=EXPORT_TARGETS,
    )
    out: str = option(
        help="A folder for weights, config.json and a model card; or one file, .safetensors or .pth, with NAME.json "
        "and NAME.md beside it. An earlier export there is replaced; a folder, NAME.json or NAME.md that is none is "
        "refused.",
        metavar="DIR|FILE",
    )
    push: str | None = common.push_option()
    private: bool = common.private_option(needs="push")
    license: str | None = common.license_option()
