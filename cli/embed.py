"""`synthcl embed`."""

from __future__ import annotations

import click

from ..pipeline.configs.embed import EmbedConfig
from ..pipeline.progress.line import announce
from .command import Command, argument, config_options, json_option, print_result
from .completion import complete_run
from .following import after_embedding


@click.command(cls=Command)
@argument("run", metavar="RUN", shell_complete=complete_run)
@config_options(EmbedConfig)
@json_option
def embed(config: EmbedConfig, run: str, as_json: bool) -> None:
    """Write the features of images to a Parquet file, and draw them in the plane.

    RUN is a run of `synthcl train` or an encoder's folder.
    """
    announce("loading torch")
    from ..pipeline.exporting.embedding import embed

    result = embed(run, config)
    print_result(result, as_json, "embed")
    after_embedding(run, config, as_json)
