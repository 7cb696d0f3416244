"""`synthcl export`."""

from __future__ import annotations

import click

from ..pipeline.configs.export import ExportConfig
from ..pipeline.progress.line import announce
from .command import Command, argument, config_options, json_option, print_result
from .completion import complete_run
from .following import after_exporting


@click.command(cls=Command)
@argument("run", metavar="RUN", shell_complete=complete_run)
@config_options(ExportConfig)
@json_option
def export(config: ExportConfig, run: str, as_json: bool) -> None:
    """Write an encoder for torchvision, timm or safetensors, with a model card.

    RUN is a run of `synthcl train` or an encoder's folder.
    """
    announce("loading torch")
    from ..pipeline.exporting.export import export

    result = export(run, config)
    shown = result if as_json else {name: value for name, value in result.items() if name != "loading"}
    print_result(shown, as_json, "export")
    if not as_json:
        click.echo(f"It loads so:\n\n{result['loading']}")
    after_exporting(run, as_json)
