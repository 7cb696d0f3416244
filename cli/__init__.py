"""The command line: parse, validate, call one function of the pipeline, print. No logic, and no torch until a command
runs."""

from __future__ import annotations

import importlib

import click

from .command import Group

COMMANDS = {
    "pretrain": ("pretrain:pretrain", "Train a generator on real images."),
    "preview": ("preview:preview", "Draw a grid of a generator's samples."),
    "generate": ("generate:generate", "Write samples of a generator to a shard set."),
    "train": ("train:train", "Train an encoder on real images, alone or with synthetic ones."),
    "shards": ("shards:shards", "List, check, look at, describe, push, index and score shard sets."),
    "runs": ("runs:runs", "List runs, and look at one."),
    "eval": ("evaluate:evaluate", "Evaluate an encoder, or the quality of synthetic images."),
    "compare": ("compare:compare", "Compare regimes and arms: train and evaluate each with several seeds, and report."),
    "export": ("export:export", "Write an encoder for torchvision, timm or safetensors, with a model card."),
    "embed": ("embed:embed", "Write the features of images to a Parquet file, and draw them in the plane."),
    "demo": ("demo:demo", "Run the whole story on small images, from pretraining to the comparison."),
    "env": ("env:env", "Print versions, devices and what the CPU can do, for a report of a fault."),
}
"""Each command's module and object here, loaded when asked for, and what it does: the first sentence of its help."""


class LazyGroup(Group):
    """A group whose commands are imported when they are needed; to list them it takes none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        return getattr(importlib.import_module(f".{module}", __package__), attribute)

    def summary(self, ctx: click.Context, name: str) -> str:
        return COMMANDS[name][1]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="synthcl")
def main() -> None:
    """Contrastive learning with synthetic images, made ahead or made jointly.

    The usual order: `pretrain` a generator, `generate` a shard set, `train` with --shards (offline) or --online,
    then `eval`. `demo` does all of it on small images in about two minutes.
    """
