"""`synthcl demo`."""

from __future__ import annotations

import click

from ..pipeline.configs.demo import DemoConfig
from .command import Command, config_options, json_option, print_result


@click.command(cls=Command)
@config_options(DemoConfig)
@json_option
def demo(config: DemoConfig, as_json: bool) -> None:
    """The whole story on small images: pretrain, generate, train in each regime, evaluate, compare."""
    from ..pipeline.demo import demo

    print_result(demo(config), as_json, "demo")
