"""`synthcl embed`."""

from __future__ import annotations

import click

from ..pipeline.configs.embed import EmbedConfig
from .command import Command, argument, config_options, json_option, print_result
from .completion import complete_run


@click.command(cls=Command)
@argument("run", metavar="RUN", shell_complete=complete_run)
@config_options(EmbedConfig)
@json_option
def embed(config: EmbedConfig, run: str, as_json: bool) -> None:
    """Write the features of images to a Parquet file, and draw them in the plane.

    RUN is a run of `synthcl train` or an encoder's folder.
    """
    from ..pipeline.embedding import embed

    print_result(embed(run, config), as_json, "embed")
