"""Results of evaluations as tables for people."""

from __future__ import annotations

import json
from typing import Any

import click


def print_evaluation(result: dict[str, Any], as_json: bool) -> None:
    """A result on stdout: one JSON object, or a table."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['task']} of {result['run']}", title_justify="left")
    for column in ("fit on", "images", "scored on", "images", "top-1 %", "95% interval", "top-5 %"):
        table.add_column(column, justify="left" if column.endswith("on") else "right")
    for row in result.get("results", [result]):
        low, high = row["top1_interval"]
        table.add_row(
            row["data"],
            f"{row['num_train']:,}",
            row["test_data"] + (" (not held out!)" if row["scored_on_training_split"] else ""),
            f"{row['num_test']:,}",
            f"{100 * row['top1']:.2f}",
            f"{100 * low:.2f} to {100 * high:.2f}",
            f"{100 * row['top5']:.2f}",
        )
    console = Console()
    console.print(table)
    if "results" not in result:
        _print_classes(console, result)


def _print_classes(console: Any, result: dict[str, Any]) -> None:
    """The classes from the worst to the best; only the ends of a long list."""
    known = [
        (accuracy, name)
        for name, accuracy in zip(result["classes"], result["per_class"], strict=True)
        if accuracy is not None
    ]
    parts = [f"{name} {100 * accuracy:.1f}" for accuracy, name in sorted(known)]
    if len(parts) > 12:
        parts = [*parts[:6], "...", *parts[-6:]]
    console.print(f"by class, worst first: {', '.join(parts)}")
