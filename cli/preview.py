"""`synthcl preview`."""

from __future__ import annotations

import click

from ..pipeline.configs.preview import PreviewConfig
from .command import Command, config_options, json_option, print_result


@click.command(cls=Command)
@config_options(PreviewConfig)
@json_option
def preview(config: PreviewConfig, as_json: bool) -> None:
    """Draw a grid of a generator's samples."""
    from ..pipeline.preview import preview

    print_result(preview(config), as_json, "preview")
