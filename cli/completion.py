"""What the shell completes: runs, folders, files and names of data sets. Nothing here may be slow or import torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import click
from click.shell_completion import CompletionItem

Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""Gives the completions of what is typed so far."""


def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The run folders whose path begins so, each with its command; any folders where none is a run."""
    from ..pipeline.runs.folder import command_of

    parent, start = os.path.split(incomplete)
    try:
        names = sorted(entry.name for entry in os.scandir(parent or ".") if entry.is_dir())
    except OSError:
        names = []
    paths = [Path(parent, name) for name in names if name.startswith(start)]
    found = [CompletionItem(str(path), help=command) for path in paths if (command := command_of(path)) is not None]
    return found or [CompletionItem(incomplete, type="dir")]


def complete_folder(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders."""
    return [CompletionItem(incomplete, type="dir")]


def complete_file(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files."""
    return [CompletionItem(incomplete, type="file")]


def complete_options(command: str) -> Complete:
    """The presets of a command that begin so, each with what it is; files where none does."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..pipeline.configs.presets import preset_names, preset_summary

        names = [name for name in preset_names(command) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=preset_summary(command, name)) for name in names]
        return found or complete_file(context, parameter, incomplete)

    return complete


def complete_spec(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of data sets that begin so; files and folders where none does."""
    from ..pipeline.data.specs import DATASETS

    found = [CompletionItem(name) for name in DATASETS if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


BY_METAVAR: dict[str, Complete] = {
    "SPEC": complete_spec,
    "RUN": complete_run,
    "DIR": complete_folder,
    "DIR|URL": complete_folder,
    "DIR|HUB_ID": complete_run,
}
"""What an option's metavar says of its values. Names of files, `FILE...`, complete as files."""


def completion_for(metavar: str | None, suggestions: Sequence[str] = ()) -> Complete | None:
    """The completion of an option by its suggestions or its metavar; None where there is nothing to complete."""
    if suggestions:
        return lambda context, parameter, incomplete: [
            CompletionItem(name) for name in suggestions if name.startswith(incomplete)
        ]
    if metavar is not None and metavar.startswith("FILE"):
        return complete_file
    return BY_METAVAR.get(metavar or "")
