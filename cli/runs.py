"""`synthcl runs`: what runs there are, and what came of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..pipeline.configs.runs import ShowConfig
from ..pipeline.errors import UsageError
from ..pipeline.options.config import Config
from .command import Command, Group, argument, config_options, json_option, new_table, print_result, print_table
from .compare import print_comparison
from .completion import complete_folder, complete_run
from .following import after_training, say_next
from .watching import watch_run


@click.group(cls=Group)
def runs() -> None:
    """List runs, and look at one."""


@runs.command("list", cls=Command)
@argument("folder", metavar="DIR", default=".", shell_complete=complete_folder)
@config_options(Config)
@json_option
def list_runs(config: Config, folder: str, as_json: bool) -> None:
    """List the runs at or below DIR: what each is, how far it is, and its accuracy on the set that it was
    trained on, where one was recorded.

    The accuracy is that of a linear probe, else of nearest neighbours, fitted with all labels and scored on test
    images of the same set. Of a run that was trained on a part of a set, a probe of that part comes first, then one
    of the whole set.

    A run that is not finished is interrupted, or unknown if something was written in the last ten minutes: it may be
    running.
    """
    from ..pipeline.runs.listing import find_runs, summarize_run

    rows = [summarize_run(path) for path in find_runs(folder)]
    if as_json:
        print_result({"runs": rows}, as_json, "runs")
    else:
        _print_runs(rows)


@runs.command(cls=Command)
@argument("run", metavar="RUN", shell_complete=complete_run)
@config_options(ShowConfig)
@json_option
def show(config: ShowConfig, run: str, as_json: bool) -> None:
    """Print what a run is and came to: options, state, steps, the last metrics, and recorded evaluations; of a
    comparison its table and verdict."""
    from ..pipeline.runs.listing import describe_run, draw_curves

    if config.watch:
        if as_json:
            raise UsageError("--watch shows a run to people; leave --json out")
        watch_run(run)
    found = describe_run(run)
    if config.out is not None:
        found["picture"] = draw_curves(run, config.out)
    if as_json:
        print_result(found, as_json, "run")
    else:
        _print_run(found)
        if found["command"] == "compare" and found["result"] is not None:
            print_comparison(found["result"], as_json)
        if found["state"] == "finished" and not found["evaluations"] and found["command"] == "train":
            after_training(run, found["data"], as_json)


def _print_runs(rows: Sequence[dict[str, Any]]) -> None:
    headings = ("run", "command", "regime", "learner", "seed", "steps", "state", "top-1 %", "seconds")
    table = new_table("runs", headings, ("seed", "steps", "top-1 %", "seconds"))
    for row in rows:
        table.add_row(
            row["path"],
            row["command"] or "",
            row["regime"] or "",
            row["learner"] or "",
            "" if row["seed"] is None else str(row["seed"]),
            _how_far(row),
            row["state"],
            "" if row["top1"] is None else f"{100 * row['top1']:.2f}",
            "" if row["seconds"] is None else f"{row['seconds']:,.0f}",
        )
    print_table(table)
    for row in rows:
        if "error" in row:
            click.echo(f"{row['path']}: {row['error']}")
        if row["length"] is not None:
            click.echo(f"{row['path']}: {row['length']}")
    whole = next((row["path"] for row in rows if row["state"] != "damaged"), None)
    if whole is not None:
        say_next(False, "runs", "show", whole)


def _how_far(row: dict[str, Any]) -> str:
    """Steps done of all; of a comparison its runs."""
    unit, (done, total) = "", (row["steps"], row["total_steps"])
    if row["total_runs"] is not None:
        unit, (done, total) = " runs", (row["runs"], row["total_runs"])
    if done is None and total is None:
        return ""
    of = "" if done == total else f" of {f'{total:,}' if total is not None else '?'}"
    return f"{done or 0:,}{of}{unit}"


def _print_run(found: dict[str, Any]) -> None:
    table = new_table(f"run {found['path']}", ("what", "value"))
    for name in ("command", "state", "regime", "learner", "backbone", "data", "seed"):
        if found[name] is not None:
            table.add_row(name, str(found[name]))
    table.add_row("runs" if found["command"] == "compare" else "steps", _how_far(found).removesuffix(" runs"))
    if found["length"] is not None:
        table.add_row("length", f"{found['length']}: not a training in one go")
    numbers = {name: value for name, value in (found["result"] or {}).items() if isinstance(value, float)}
    for name, value in {**(found["metrics"] or {}), **numbers}.items():
        if name != "step":
            table.add_row(name.replace("_", " "), f"{value:.4g}")
    if "picture" in found:
        table.add_row("picture", found["picture"])
    print_table(table)
    if found["evaluations"]:
        _print_evaluations(found["evaluations"])


def _top1(result: dict[str, Any]) -> str:
    """An evaluation's accuracy in percent, and that on corrupted images; nothing where there is none."""
    values = [result[name] for name in ("top1", "corrupted_top1") if result.get(name) is not None]
    return ", corrupted ".join(f"{100 * value:.2f}" for value in values)


def _of_which(result: dict[str, Any]) -> str:
    """Whose weights an evaluation is of, if not the run's encoder's."""
    if result.get("untrained"):
        return " (untrained)"
    return " (before it was extended)" if result.get("former_weights") else ""


def _print_evaluations(evaluations: Sequence[dict[str, Any]]) -> None:
    table = new_table("evaluations", ("task", "fitted on", "scored on", "labels", "top-1 %", "time"), ("top-1 %",))
    for result in evaluations:
        table.add_row(
            result["task"] + _of_which(result),
            str(result.get("data", "")),
            str(result.get("test_data", "")),
            f"{100 * result['label_fraction']:g}%" if "label_fraction" in result else "",
            _top1(result),
            str(result.get("time", "")),
        )
    print_table(table)
