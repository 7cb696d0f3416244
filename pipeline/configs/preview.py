"""Options of `synthcl preview`."""

from __future__ import annotations

from dataclasses import dataclass

from ..options.config import option
from . import common
from .sampling import SourceConfig, try_class


@dataclass(kw_only=True)
class PreviewConfig(SourceConfig):
    generator: str = option(
        help="A generator: a run of `pretrain`, one pushed to the hub (hf://USER/NAME), a diffusers pipeline (folder "
        "or hub id), or package.module:Class.",
        metavar="DIR|HUB_ID",
    )
    out: str = option(help="The picture to write.", metavar="FILE.png", ending=".png")
    num_samples: int = option(64, help="Samples to show.", minimum=1, maximum=4096)
    data: str | None = option(
        None,
        help="Real images for a row above; some of those it was trained on if not given, where its run has them.",
        metavar="SPEC",
    )
    data_root: str | None = common.data_root_option(needs="data")
    columns: int = option(8, help="Samples a row.", minimum=1)
    seed: int = common.seed_option()

    def try_out(self) -> None:
        try_class(self.generator, self)
