"""`synthcl demo`."""

from __future__ import annotations

import click

from ..pipeline.configs.demo import DemoConfig
from .command import Command, config_options, json_option, print_result, print_rows


@click.command(cls=Command)
@config_options(DemoConfig)
@json_option
def demo(config: DemoConfig, as_json: bool) -> None:
    """The whole story on small images: pretrain, generate, train in each regime, evaluate, compare."""
    from ..pipeline.demo import demo as run_demo

    result = run_demo(config)
    if as_json:
        print_result(result, as_json, "demo")
    else:
        print_rows(result["rows"], f"top-1 on held-out images of {config.data}")
        click.echo(f"picture: {result['picture']}")
