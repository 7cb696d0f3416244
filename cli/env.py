"""`synthcl env`."""

from __future__ import annotations

import json
from typing import Any

import click

from .command import Command, json_option, new_table, print_table


@click.command(cls=Command)
@json_option
def env(as_json: bool) -> None:
    """Print versions, devices and what the CPU can do, for a report of a fault."""
    from ..pipeline.runtime.environment import describe_environment

    found = describe_environment()
    if as_json:
        click.echo(json.dumps(found, allow_nan=False))
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    cpu = found["cpu"]
    table = new_table("environment", ("what", "value"))
    for name in ("synthcl", "python", "system", "executable"):
        table.add_row(name, str(found[name]))
    table.add_row("cpu", f"{cpu['processor']}, {cpu['architecture']}, {cpu['cores']} cores, {cpu['threads']} threads")
    table.add_row("free RAM", f"{cpu['ram_free'] / 2**30:.1f} GiB")
    for device in found["devices"]:
        memory = f", {device['memory'] / 2**30:.1f} GiB" if device["memory"] is not None else ""
        table.add_row(device["device"], device["name"] + memory)
    if not found["devices"]:
        table.add_row("accelerator", "none")
    table.add_row("CUDA of torch", f"{found['cuda'] or 'none'}, cuDNN {found['cudnn'] or 'none'}")
    for name, version in found["packages"].items():
        table.add_row(name, version or "not installed")
    for name, value in found["variables"].items():
        table.add_row(name, value)
    print_table(table)
