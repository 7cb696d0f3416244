"""`synthcl generate`."""

from __future__ import annotations

import click

from ..pipeline.configs.generate import GenerateConfig
from .command import Command, config_options, json_option, print_result, say


@click.command(cls=Command)
@config_options(GenerateConfig)
@json_option
def generate(config: GenerateConfig, as_json: bool) -> None:
    """Write samples of a generator to a shard set.

    A set that is there already, of the same generator and options, is reused; one that is not complete is continued.
    """
    from ..pipeline.generation import generate

    result = generate(config)
    if result["reused"]:
        say(f"{result['out']} is already complete; nothing was written")
    print_result(result, as_json, "generate")
    if result["complete"] and not as_json:
        say(f"next: synthcl train --data SPEC --shards {result['out']} --out RUN")
