"""`synthcl train`."""

from __future__ import annotations

import click

from ..pipeline.configs.train import TrainConfig
from ..pipeline.progress.line import announce
from .command import Command, config_options, json_option, print_result
from .following import after_training


@click.command(cls=Command)
@config_options(TrainConfig, presets="train")
@json_option
def train(config: TrainConfig, as_json: bool) -> None:
    """Train an encoder on real images, alone or with synthetic ones.

    Synthetic images come from shard sets (--shards), from a generator that stays as it is (--fresh), from one that is
    trained jointly (--online), or from a recording (--replay).
    """
    announce("loading torch")
    from ..pipeline.training.train import train

    result = train(config)
    print_result(result, as_json, "train")
    after_training(result["run"], config.data, as_json)
