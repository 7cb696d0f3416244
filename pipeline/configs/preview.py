"""Options of `synthcl preview`."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import Config, option
from . import common


@dataclass(kw_only=True)
class PreviewConfig(Config):
    generator: str = option(help="A pretrained generator: a folder that `pretrain` wrote.", metavar="DIR")
    out: str = option(help="The picture to write.", metavar="FILE.png")
    num_samples: int = option(64, help="Samples to show.", minimum=1, maximum=4096)
    columns: int = option(8, help="Samples a row.", minimum=1)
    seed: int = common.seed_option()
