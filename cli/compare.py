"""`synthcl compare`."""

from __future__ import annotations

import textwrap
from typing import Any

import click

from ..pipeline.configs.compare import CompareConfig
from ..pipeline.options.config import write_yaml
from ..pipeline.progress.line import announce, duration, is_main_process, say
from .command import Command, config_options, json_option, new_table, print_result, table_lines

DRY_RUN_HELP = (
    "Print the resolved options as YAML, then the plan and about what time and disk it takes, from a trial of a few "
    "steps, and stop."
)


def print_forecast(config: CompareConfig, as_json: bool) -> None:
    """What `--dry-run` prints: the options as YAML, and below them as its comments the plan and what it will take."""
    if not as_json and is_main_process():
        click.echo(write_yaml(config.to_dict()), nl=False)
    announce("loading torch")
    from ..pipeline.comparison.forecast import forecast

    plan = forecast(config)
    if as_json:
        print_result({"options": config.to_dict(), **plan}, as_json, "compare")
    elif is_main_process():
        for line in forecast_lines(plan):
            click.echo(f"# {line}".rstrip())


def forecast_lines(plan: dict[str, Any]) -> list[str]:
    """A forecast for people.

    Args:
        plan: what `forecast` returns.
    """
    headings = ("what is left", "steps", "s/step", "time", "disk")
    table = new_table("", headings, headings[1:])
    table.title = None
    if (made := plan["set"]) is not None:
        table.add_row(f"set: {made['samples_left']:,} of {made['num_samples']:,} latents", "", "", *_cost(made))
    for row in plan["arms"]:
        rate = "" if row["seconds_per_step"] is None else f"{row['seconds_per_step']:.3g}"
        runs = f"{row['arm']}: {row['runs_left']} of {row['runs']} runs"
        table.add_row(runs, f"{row['steps']:,}", rate, *_cost(row))
    asked = plan["evaluations"]
    table.add_row(
        f"{asked['evaluations_left']} of {asked['evaluations']} evaluations", "", "", *_cost(asked), end_section=True
    )
    table.add_row("all", "", "", *_cost(plan))
    about = f"{plan['bytes_free'] / 1e9:,.1f} GB are free. This is an estimate: " + ". ".join(
        note[0].upper() + note[1:] if number else note for number, note in enumerate(plan["notes"])
    )
    return [*table_lines(table), "", *textwrap.wrap(f"{about}.", 110, break_on_hyphens=False)]


def _cost(part: dict[str, Any]) -> tuple[str, str]:
    return duration(part["seconds"]), f"{part['bytes'] / 1e6:,.1f} MB"


@click.command(cls=Command)
@config_options(CompareConfig, presets="compare", dry_run=print_forecast, dry_run_help=DRY_RUN_HELP)
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
    judged, other = ("linear", "knn") if result["metric_name"] == "linear" else ("knn", "linear")
    names = {"linear": "linear", "knn": "kNN"}
    for heading in ("arm", "n", names[judged], f"vs {reference}", "95% interval", names[other], "seconds"):
        table.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=heading != "arm")
    against = {d["arm"]: d for d in result["differences"] if d["reference"] == reference}
    for row in result["table"]:
        difference = against.get(row["arm"])
        table.add_row(
            row["arm"],
            str(row["num_seeds"]),
            _spread(row[judged]),
            f"{100 * difference['mean']:+.2f}" if difference else "",
            _interval(difference["interval"]) if difference else "",
            _spread(row[other]),
            f"{row['seconds']:,.0f}" if row["seconds"] is not None else "",
        )
    console.print(table)
    for named in (d for d in result["differences"] if d.get("primary")):
        click.echo(_named_beforehand(named))
    for line in result["mismatches"]:
        click.echo(f"differs besides the regime: {line}")
    for warning in result["warnings"]:
        click.echo(f"warning: {warning}")
    for note in result["notes"]:
        click.echo(f"note: {note}")
    click.echo(result["verdict"])
    click.echo(f"report: {result['report']}")
    say(f"next: open {result['report']} in a browser")


def _named_beforehand(primary: dict[str, Any]) -> str:
    """The one comparison that was named, which the table need not have, and which has a p-value of its own."""
    p_value = f", p {primary['p_value']:.2g}" if primary["p_value"] is not None else ""
    return (
        f"named beforehand: {primary['arm']} vs {primary['reference']} {100 * primary['mean']:+.2f}, "
        f"95% interval {_interval(primary['interval'])}{p_value}"
    )


def _spread(values: dict[str, Any]) -> str:
    deviation = f" ± {100 * values['deviation']:.2f}" if values["deviation"] is not None else ""
    return f"{100 * values['mean']:.2f}{deviation}"


def _interval(ends: list[float] | None) -> str:
    return f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}" if ends is not None else "none"
