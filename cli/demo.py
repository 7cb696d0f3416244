"""`synthcl demo`."""

from __future__ import annotations

import click

from ..pipeline.configs.demo import DemoConfig
from ..pipeline.progress.line import announce
from .command import Command, config_options, json_option
from .compare import print_comparison


@click.command(cls=Command)
@config_options(DemoConfig)
@json_option
def demo(config: DemoConfig, as_json: bool) -> None:
    """Run the whole story on small images, from pretraining to the comparison.

    It is `synthcl pretrain` and `synthcl compare`; their folders are OUT/generator and OUT/comparison.
    """
    announce("loading torch")
    from ..pipeline.comparison.demo import demo

    print_comparison(demo(config), as_json)
