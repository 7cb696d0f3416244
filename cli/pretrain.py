"""`synthcl pretrain`."""

from __future__ import annotations

import click

from ..pipeline.configs.pretrain import PretrainConfig
from ..pipeline.progress.line import announce
from .command import Command, config_options, json_option, print_result
from .following import say_next


@click.command(cls=Command)
@config_options(PretrainConfig, presets="pretrain")
@json_option
def pretrain(config: PretrainConfig, as_json: bool) -> None:
    """Train a generator on real images.

    The same command again continues it.
    """
    announce("loading torch")
    from ..pipeline.training.pretrain import pretrain

    result = pretrain(config)
    print_result(result, as_json, "pretrain")
    say_next(as_json, "preview", "--generator", result["run"], "--out", "samples.png")
