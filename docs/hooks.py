"""What the site needs besides its pages: the package as one folder, the commands, and links that do not leave it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from synthcl.cli import main

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "build" / "api" / "synthcl"
_LINK_OUT = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_startup(**_: Any) -> None:
    """Put the folders under one that has the package's name: the reference is read from source, without imports."""
    PACKAGE.mkdir(parents=True, exist_ok=True)
    for name in ("cli", "generators", "learners", "pipeline"):
        link = PACKAGE / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(ROOT / name, target_is_directory=True)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write the commands where their page asks for them, and name files that are no pages in place of links to them."""
    if "/" in page.file.src_uri:  # from a subfolder, ../ leads to a page
        return markdown.replace(
            "<!-- commands -->", "\n".join(describe(main, click.Context(main, info_name="synthcl")))
        )
    return _LINK_OUT.sub(lambda link: f"{link[1]} (`{link[2]}`)" if link[1] != link[2] else f"`{link[2]}`", markdown)


def describe(command: click.Command, context: click.Context) -> list[str]:
    """Lines of a page: a command's help and its options, or those of all commands of a group."""
    if isinstance(command, click.Group):
        lines = []
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            lines += describe(child, click.Context(child, parent=context, info_name=name))
        return lines
    lines = [f"## {context.command_path}", "", *escape(click.unstyle(command.help or "")).splitlines(), ""]
    lines += ["| option | |", "|---|---|"]
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    rows = (f"| `{flags}` | {cell(escape(text))} |" for flags, text in filter(None, records))
    return [*lines, *rows, ""]


def escape(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([*_<\[\]])", r"\\\1", text)


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
