"""Options of `synthcl pretrain`."""

from __future__ import annotations

from dataclasses import dataclass

from ...generators import generator_kinds
from ..options import option
from . import common
from .sampling import SamplingConfig


@dataclass(kw_only=True)
class PretrainConfig(SamplingConfig):
    data: str = common.data_option()
    out: str = option(help="Folder of the run; it is also what --generator takes.", metavar="DIR", may_change=True)
    generator: str = option("gan", help="Kind of generator.", choices=generator_kinds())
    preset: str = option(
        "auto",
        help="Size of the networks: tiny, small, base (gan: large too); auto goes by image size.",
        metavar="NAME",
    )
    flip: bool = option(False, help="Diffusion: mirror half of the images, where left and right mean the same.")
    bf16: bool = option(False, help="Compute the networks' convolutions in bf16.")
    image_size: int | None = common.image_size_option()
    steps: int = option(20_000, help="Updates of the generator.", minimum=1, may_change=True)
    batch_size: int = option(64, help="Real images a step, over all processes.", minimum=2)
    learning_rate: float | None = option(None, help="Of all the networks; the kind's own if not given.", above=0)
    ema_decay: float | None = option(
        None, help="Of the moving average of weights; the kind's own if not given.", minimum=0, below=1
    )
    sample_every: int = option(1000, help="Steps between sample grids (samples/*.png).", minimum=1, may_change=True)
    data_root: str | None = common.data_root_option()
    cache: str = common.cache_option()
    log_every: int = common.log_every_option()
    tracker: list[str] = common.tracker_option()
    checkpoint_every: int = common.checkpoint_every_option(1000)
    keep: int = common.keep_option()
    seed: int = common.seed_option()
