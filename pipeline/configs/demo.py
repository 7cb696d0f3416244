"""Options of `synthcl demo`."""

from __future__ import annotations

from dataclasses import dataclass

from ..options.config import Config, option
from . import common


@dataclass(kw_only=True)
class DemoConfig(Config):
    out: str = option("demo", help="Folder for all that the demo makes.", metavar="DIR")
    data: str = option("digits[:20%,balanced]", help="Images, with labels for the probes.", metavar="SPEC")
    data_root: str | None = common.data_root_option()
    image_size: int = option(16, help="Pixels a side.", minimum=8)
    pretrain_steps: int = option(800, help="Steps of the generator.", minimum=1)
    train_steps: int = option(100, help="Steps of each encoder.", minimum=1)
    seeds: int = option(5, help="Encoders of each regime; fewer than 3 give no interval.", minimum=1)
    batch_size: int = option(64, help="Real images a step.", minimum=2)
    seed: int = common.seed_option()
