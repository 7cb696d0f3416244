"""`synthcl generate`."""

from __future__ import annotations

import click

from ..pipeline.configs.generate import GenerateConfig
from ..pipeline.progress.line import announce, say
from .command import Command, config_options, json_option, print_result
from .following import after_generating, after_submitting


@click.command(cls=Command)
@config_options(GenerateConfig)
@json_option
def generate(config: GenerateConfig, as_json: bool) -> None:
    """Write samples of a generator to a shard set.

    A set that is there already, of the same generator and options, is reused; one that is not complete is continued.
    With --executor ray or slurm many machines write it together, which must share the file system of --out, if that
    is no URL.
    """
    if config.executor != "slurm":
        announce("loading torch and the generator")
    from ..pipeline.generation.generate import generate

    result = generate(config)
    if config.executor == "slurm":
        print_result(result, as_json, "generate")
        after_submitting(result["script"], result["job_id"], config.out, as_json)
        return
    if result["reused"]:
        say(
            f"{result['out']} is already finished: all {result['num_samples']:,} samples are there; nothing was written"
        )
    elif result["existing"]:
        say(f"{result['existing']:,} samples of {result['out']} were there; {result['written']:,} are new")
    print_result(result, as_json, "generate")
    if result["complete"]:
        after_generating(config.generator, result["out"], as_json)
