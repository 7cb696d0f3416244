"""Results of evaluations as tables for people."""

from __future__ import annotations

import json
from typing import Any

import click

MANY_CLASSES = 12
"""Of more classes than this only the worst and the best are shown."""


def print_evaluation(result: dict[str, Any], as_json: bool) -> None:
    """A result on stdout: one JSON object, or a table."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
        return
    from rich.console import Console

    Console().print(_several(result) if "results" in result else _single(result))


def print_measures(result: dict[str, Any], as_json: bool) -> None:
    """A result without a classifier on stdout: one JSON object, or a table of its numbers."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
        return
    from rich.console import Console

    table = _table(f"{result['task']} of {result.get('source', result.get('run'))}", show_header=False)
    for name, value in result.items():
        if isinstance(value, float) and name != "seconds":
            table.add_row(name.replace("_", " "), f"{value:.4g}")
    for name in ("num_generated", "num_real", "num_held_out"):
        if name in result:
            table.add_row(name.replace("num_", "").replace("_", " ") + " images", f"{result[name]:,}")
    if "num_images" in result:
        table.add_row("images", f"{result['num_images']:,}")
    for name in ("data", "encoder", "views"):
        if name in result:
            table.add_row(name, str(result[name]))
    for warning in result["warnings"]:
        table.add_row("warning", warning)
    Console().print(table)


def _single(result: dict[str, Any]) -> Any:
    """A row for each thing to know."""
    table = _table(f"{result['task']} of {result['run']}", show_header=False)
    low, high = result["top1_interval"]
    table.add_row("top-1 %", f"[bold]{_percent(result['top1'])}[/bold]  ({_percent(low)} to {_percent(high)})")
    table.add_row("top-5 %", _percent(result["top5"]))
    table.add_row("by class", _classes(result))
    table.add_row("fitted on", f"{result['num_train']:,} of {result['data']}")
    table.add_row("scored on", f"{result['num_test']:,} of {result['test_data']}")
    settings = [f"{name} {result[name]:g}" for name in ("l2", "k", "temperature", "epochs") if result.get(name)]
    table.add_row("settings", ", ".join(_settings_that_matter(result, settings)))
    for warning in result["warnings"]:
        table.add_row("warning", warning)
    return table


def _several(result: dict[str, Any]) -> Any:
    """A row for each image set."""
    table = _table(f"{result['task']} of {result['run']}")
    table.add_column("fitted on", overflow="fold")
    table.add_column("scored on", overflow="fold")
    table.add_column("top-1 %", justify="right")
    table.add_column("95% interval", justify="right")
    for row in result["results"]:
        low, high = row["top1_interval"]
        scored = row["test_data"] + (" (not held out!)" if row["scored_on_training_split"] else "")
        table.add_row(row["data"], scored, _percent(row["top1"]), f"{_percent(low)} to {_percent(high)}")
    table.add_row("mean", "", _percent(result["top1"]), "")
    return table


def _settings_that_matter(result: dict[str, Any], settings: list[str]) -> list[str]:
    if result["task"] == "linear" and result["probe"] == "lbfgs":
        settings = [setting for setting in settings if not setting.startswith("epochs")]
    if result["untrained"]:
        settings.append("fresh weights")
    return settings


def _classes(result: dict[str, Any]) -> str:
    """The classes with their accuracies, worst first."""
    scored = zip(result["per_class"], result["classes"], strict=True)
    known = sorted((accuracy, name) for accuracy, name in scored if accuracy is not None)
    parts = [f"{name} {100 * accuracy:.1f}" for accuracy, name in known]
    if len(parts) > MANY_CLASSES:
        parts = [*parts[: MANY_CLASSES // 2], "...", *parts[-MANY_CLASSES // 2 :]]
    return ", ".join(parts)


def _table(title: str, **options: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    return Table(title=Text(title), title_justify="left", **options)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
