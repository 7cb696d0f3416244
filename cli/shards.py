"""`synthcl shards`: what can be done with shard sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .command import Command, Group, json_option, new_table, print_result, print_table
from .completion import complete_folder, complete_run, complete_spec

set_argument = click.argument("set_path", metavar="SET", shell_complete=complete_folder)


@click.group(cls=Group)
def shards() -> None:
    """List, check, look at, index and score shard sets."""


@shards.command("list", cls=Command)
@click.argument("folder", default=".", shell_complete=complete_folder)
@json_option
def list_sets(folder: str, as_json: bool) -> None:
    """The shard sets at or below FOLDER: name, recipe, samples, size and state."""
    from ..pipeline.shards.status import find_shard_sets, summarize

    sets = [summarize(path) for path in find_shard_sets(folder)]
    if as_json:
        print_result({"sets": sets}, as_json, "shard sets")
    else:
        _print_sets(sets)


@shards.command(cls=Command)
@set_argument
@json_option
def info(set_path: str, as_json: bool) -> None:
    """What a set is: recipe, counts, size and state."""
    from ..pipeline.shards.status import describe_set

    row = describe_set(set_path)
    print_result(row if as_json else {**row, **row["recipe"]}, as_json, "shard set")


@shards.command(cls=Command)
@set_argument
@click.option("--decode", is_flag=True, help="Decode every image too.")
@json_option
@click.pass_context
def verify(context: click.Context, set_path: str, decode: bool, as_json: bool) -> None:
    """Check every checksum, count and key of a set. Exit code 1 if anything is wrong."""
    from ..pipeline.progress import Progress
    from ..pipeline.shards.verify import verify_shard_set

    with Progress("verify", 0, "shards") as progress:
        report = verify_shard_set(set_path, decode=decode, progress=_report(progress))
    result = report.to_dict()
    print_result(result if as_json else {**result, "problems": len(report.errors)}, as_json, "verify")
    if not as_json:
        for problem in report.errors:
            click.echo(f"{problem.shard or 'set'}: {problem.error}")
    context.exit(0 if report.ok else 1)


@shards.command(cls=Command)
@set_argument
@click.option("--out", required=True, metavar="FILE.png", help="The picture to write.")
@click.option("--num-samples", type=click.IntRange(1, 4096), default=64, show_default=True, help="Samples to show.")
@click.option("--columns", type=click.IntRange(1, 64), default=8, show_default=True, help="Samples a row.")
@click.option("--sort", metavar="COLUMN", help="Show those with the largest values, such as hardness.")
@click.option("--ascending", is_flag=True, help="With --sort: the smallest values instead.")
@click.option("--where", metavar="EXPR", help="Only samples that meet a condition, such as 'hardness > 2'.")
@json_option
def preview(set_path: str, out: str, sort: str | None, ascending: bool, as_json: bool, **options: Any) -> None:
    """Write a PNG grid of a set's samples."""
    from ..pipeline.shards.preview import preview_shards

    result = preview_shards(set_path, out, sort=sort, descending=not ascending, **options)
    print_result(result, as_json, "preview")


@shards.command(cls=Command)
@click.argument("folder", shell_complete=complete_folder)
@json_option
def index(folder: str, as_json: bool) -> None:
    """Adopt a folder of someone else's tars, or make lost sidecars of a generated set again."""
    from ..pipeline.progress import Progress
    from ..pipeline.shards.adopt import index_shards
    from ..pipeline.shards.status import describe_set

    with Progress("index", 0, "tars") as progress:
        index_shards(folder, progress=_report(progress))
    print_result(describe_set(folder), as_json, "index")


@shards.command(cls=Command)
@set_argument
@click.option(
    "--encoder",
    required=True,
    metavar="RUN",
    shell_complete=complete_run,
    help="The run whose encoder looks at the samples.",
)
@click.option(
    "--data", metavar="SPEC", shell_complete=complete_spec, help="Real images, for the distance to the nearest of them."
)
@click.option("--name", default="score", show_default=True, help="Name of the side table.")
@click.option("--clusters", type=click.IntRange(2), default=10, show_default=True, help="How many clusters.")
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True, help="Samples at once.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of views and clusters.")
@click.option("--overwrite", is_flag=True, help="Replace a table of that name, as of a set that has grown since.")
@json_option
def score(set_path: str, as_json: bool, **options: Any) -> None:
    """Add a side table to a set: hardness, distance to the nearest real image, and cluster, by an encoder."""
    from ..pipeline.evaluation.sample_scores import score_shards

    print_result(score_shards(set_path, **options), as_json, "score")


def _report(progress: Any) -> Any:
    """Steps of a count that is known only when the work has begun."""

    def report(done: int, total: int) -> None:
        progress.total = total
        progress.update(done)

    return report


def _print_sets(sets: Sequence[dict[str, Any]]) -> None:
    table = new_table(
        "shard sets", ("name", "recipe", "kind", "samples", "images", "size", "state"), ("samples", "size")
    )
    for row in sets:
        if "recipe_hash" not in row:
            table.add_row(row["path"], *[""] * 5, row["state"])
            continue
        there, wanted = row["num_published"], row["num_samples"]
        table.add_row(
            row["path"],
            row["recipe_hash"][:8],
            row["kind"],
            f"{there:,}" if there == wanted else f"{there:,} of {wanted:,}",
            f"{row['views_per_sample']} x {row['image_size'] or '?'} px {row['image_format'] or ''}",
            f"{row['bytes'] / 1e6:,.1f} MB",
            row["state"],
        )
    print_table(table)
    for row in sets:
        if "error" in row:
            click.echo(f"{row['path']}: {row['error']}")
