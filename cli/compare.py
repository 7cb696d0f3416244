"""`synthcl compare`."""

from __future__ import annotations

from typing import Any

import click

from ..pipeline.configs.compare import CompareConfig
from ..pipeline.progress import announce, is_main_process
from .command import Command, config_options, json_option, print_result, say


@click.command(cls=Command)
@config_options(CompareConfig)
@json_option
def compare(config: CompareConfig, as_json: bool) -> None:
    """Compare regimes and arms: train and evaluate each with several seeds, and report.

    The report, OUT/report.html, says how sure the differences are. The same command again skips what is finished. With
    --run, runs that exist are compared instead.
    """
    announce("loading torch")
    from ..pipeline.comparison.compare import compare

    print_comparison(compare(config), as_json)


def print_comparison(result: dict[str, Any], as_json: bool) -> None:
    """A comparison on stdout, of the main process alone: one JSON object, or a table with the verdict below."""
    if as_json:
        print_result(result, as_json, "compare")
    elif is_main_process():
        _print_table(result)


def _print_table(result: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    title = f"top-1 % on {result['test_data']}, at equal {result['equal']}"
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    reference = result["reference"]
    for heading in ("arm", "n", "linear", f"vs {reference}", "95% interval", "kNN", "seconds"):
        table.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=heading != "arm")
    against = {d["arm"]: d for d in result["differences"] if d["reference"] == reference}
    for row in result["table"]:
        difference = against.get(row["arm"])
        table.add_row(
            row["arm"],
            str(row["num_seeds"]),
            _spread(row["linear"]),
            f"{100 * difference['mean']:+.2f}" if difference else "",
            _interval(difference["interval"]) if difference else "",
            _spread(row["knn"]),
            f"{row['seconds']:,.0f}" if row["seconds"] is not None else "",
        )
    console.print(table)
    for line in result["mismatches"]:
        click.echo(f"differs besides the regime: {line}")
    for warning in result["warnings"]:
        click.echo(f"warning: {warning}")
    for note in result["notes"]:
        click.echo(f"note: {note}")
    click.echo(result["verdict"])
    click.echo(f"report: {result['report']}")
    say(f"next: open {result['report']} in a browser")


def _spread(values: dict[str, Any]) -> str:
    deviation = f" ± {100 * values['deviation']:.2f}" if values["deviation"] is not None else ""
    return f"{100 * values['mean']:.2f}{deviation}"


def _interval(ends: list[float] | None) -> str:
    return f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}" if ends is not None else "none"
