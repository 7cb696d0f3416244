"""`synthcl preview`."""

from __future__ import annotations

import click

from ..pipeline.configs.preview import PreviewConfig
from ..pipeline.progress.line import announce
from .command import Command, config_options, json_option, print_result
from .following import after_sampling


@click.command(cls=Command)
@config_options(PreviewConfig)
@json_option
def preview(config: PreviewConfig, as_json: bool) -> None:
    """Draw a grid of a generator's samples."""
    announce("loading torch and the generator")
    from ..pipeline.generation.preview import preview

    print_result(preview(config), as_json, "preview")
    after_sampling(config.generator, as_json, config.prompts)
