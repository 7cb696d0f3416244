"""The command line: parse, validate, call one function of the pipeline, print. No logic, and no torch until a command
runs."""

from __future__ import annotations

import importlib

import click

from .command import Group

COMMANDS = {
    "pretrain": "pretrain:pretrain",
    "preview": "preview:preview",
    "generate": "generate:generate",
    "train": "train:train",
    "shards": "shards:shards",
    "runs": "runs:runs",
    "eval": "evaluate:evaluate",
    "compare": "compare:compare",
    "export": "export:export",
    "embed": "embed:embed",
    "demo": "demo:demo",
    "env": "env:env",
}
"""Each command's module and object here; loaded when asked for."""


class LazyGroup(Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        return getattr(importlib.import_module(f".{module}", __package__), attribute)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="synthcl")
def main() -> None:
    """Contrastive learning with synthetic images, made ahead or made jointly.

    The usual order: `pretrain` a generator, `generate` a shard set, `train` with --shards (offline) or --online,
    then `eval`. `demo` does all of it on small images in about two minutes.
    """
