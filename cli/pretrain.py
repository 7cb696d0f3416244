"""`synthcl pretrain`."""

from __future__ import annotations

import click

from ..pipeline.configs.pretrain import PretrainConfig
from .command import Command, config_options, json_option, print_result


@click.command(cls=Command)
@config_options(PretrainConfig)
@json_option
def pretrain(config: PretrainConfig, as_json: bool) -> None:
    """Train a generator on real images; the same command again continues it."""
    from ..pipeline.pretraining import pretrain

    print_result(pretrain(config), as_json, "pretrain")
