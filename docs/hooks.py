"""What the site needs besides its pages: the package as one folder, the commands, the pages of benchmarks/."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

from synthcl.cli import main

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "build" / "api" / "synthcl"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#]+)(#[^)]*)?\)")


def on_startup(**_: Any) -> None:
    """Put the folders under one that has the package's name: the reference is read from source, without imports."""
    PACKAGE.mkdir(parents=True, exist_ok=True)
    for name in ("cli", "generators", "learners", "pipeline"):
        link = PACKAGE / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(ROOT / name, target_is_directory=True)


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages of benchmarks/, which stand beside their scripts and rows."""
    for path in sorted((ROOT / "benchmarks").rglob("*.md")):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write the commands where their page asks for them, and have links lead to pages of the site or to none."""
    if "<!-- commands -->" in markdown:
        return markdown.replace(
            "<!-- commands -->", "\n".join(describe(main, click.Context(main, info_name="synthcl")))
        )
    return _LINK.sub(lambda link: link_of_site(page.file.src_uri, *link.groups(default="")), markdown)


def link_of_site(page: str, text: str, target: str, heading: str) -> str:
    """A link as the site has it; of a file that is not on the site its path in the repository, in place of a link."""
    folder = os.path.dirname(page)
    if page.split("/")[0] != "benchmarks":
        folder = os.path.join("docs", folder)
    file = os.path.normpath(os.path.join(folder, target))
    if file.startswith("docs/") or (file.startswith("benchmarks/") and file.endswith(".md")):
        return f"[{text}]({os.path.relpath(file.removeprefix('docs/'), os.path.dirname(page))}{heading})"
    return f"`{file}`" if text in (file, os.path.basename(file)) else f"{text} (`{file}`)"


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
