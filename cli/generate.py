"""`synthcl generate`."""

from __future__ import annotations

import click

from ..pipeline.configs.generate import GenerateConfig
from .command import Command, config_options, json_option, print_result


@click.command(cls=Command)
@config_options(GenerateConfig)
@json_option
def generate(config: GenerateConfig, as_json: bool) -> None:
    """Write samples of a generator to a shard set, or reuse the set that is there."""
    from ..pipeline.generation import generate

    print_result(generate(config), as_json, "generate")
