"""`synthcl shards`: what can be done with shard sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..pipeline.configs.shards import CardConfig, PushConfig, ScoreConfig, ShardPreviewConfig, VerifyConfig
from ..pipeline.options.config import Config
from .command import Command, Group, argument, config_options, json_option, new_table, print_result, print_table
from .completion import complete_folder
from .following import say_next

set_argument = argument("shard_set", metavar="SET", shell_complete=complete_folder)


@click.group(cls=Group)
def shards() -> None:
    """List, check, look at, describe, push, index and score shard sets."""


@shards.command("list", cls=Command)
@argument("folder", metavar="DIR", default=".", shell_complete=complete_folder)
@config_options(Config)
@json_option
def list_sets(config: Config, folder: str, as_json: bool) -> None:
    """List the shard sets at or below DIR: name, recipe, samples, size and state."""
    from ..pipeline.shards.status import find_shard_sets, summarize

    sets = [summarize(path) for path in find_shard_sets(folder)]
    if as_json:
        print_result({"sets": sets}, as_json, "shard sets")
    else:
        _print_sets(sets)
    if whole := [row["path"] for row in sets if row["state"] == "complete"]:
        say_next(as_json, "shards", "info", whole[0])


@shards.command(cls=Command)
@set_argument
@config_options(Config)
@json_option
def info(config: Config, shard_set: str, as_json: bool) -> None:
    """Print what a set is: recipe, counts, size and state."""
    from ..pipeline.shards.status import describe_set

    row = describe_set(shard_set)
    print_result(row if as_json else {**row, **row["recipe"]}, as_json, "shard set")
    say_next(as_json, "shards", "verify", shard_set)


@shards.command(cls=Command)
@set_argument
@config_options(VerifyConfig)
@json_option
@click.pass_context
def verify(context: click.Context, config: VerifyConfig, shard_set: str, as_json: bool) -> None:
    """Check every checksum, count and key of a set.

    The exit code is 1 if anything is wrong.
    """
    from ..pipeline.progress.line import Progress
    from ..pipeline.shards.verify import verify_shard_set

    with Progress("verify", 0, "shards") as progress:
        report = verify_shard_set(shard_set, decode=config.decode, progress=_report(progress))
    result = report.to_dict()
    print_result(result if as_json else {**result, "problems": len(report.errors)}, as_json, "verify")
    if not as_json:
        for problem in report.errors:
            click.echo(f"{problem.shard or 'set'}: {problem.error}")
    if report.ok:
        say_next(as_json, "shards", "preview", shard_set, "--out", "samples.png")
    context.exit(0 if report.ok else 1)


@shards.command(cls=Command)
@set_argument
@config_options(ShardPreviewConfig)
@json_option
def preview(config: ShardPreviewConfig, shard_set: str, as_json: bool) -> None:
    """Draw a grid of a set's samples."""
    from ..pipeline.shards.preview import preview_shards

    print_result(preview_shards(shard_set, config), as_json, "preview")
    if config.sort is None:
        say_next(as_json, "shards", "score", shard_set, "--encoder", "RUN")


@shards.command(cls=Command)
@set_argument
@config_options(CardConfig)
@json_option
def card(config: CardConfig, shard_set: str, as_json: bool) -> None:
    """Write a card for those who get the set: SET/README.md, with recipe, counts, a picture, and how it is loaded."""
    from ..pipeline.shards.card import write_card

    print_result(write_card(shard_set, config), as_json, "card")
    say_next(as_json, "eval", "quality", shard_set, "--data", config.data or "SPEC")


@shards.command(cls=Command)
@set_argument
@config_options(PushConfig)
@json_option
def push(config: PushConfig, shard_set: str, as_json: bool) -> None:
    """Push a set to the Hugging Face hub, with its card.

    It is verified first. The same command again sends what has changed.
    """
    from ..pipeline.shards.push import push_shards

    result = push_shards(shard_set, config)
    print_result(result, as_json, "push")
    say_next(as_json, "train", "--data", config.data or "SPEC", "--shards", result["set"], "--out", "RUN")


@shards.command(cls=Command)
@argument("folder", metavar="DIR", shell_complete=complete_folder)
@config_options(Config)
@json_option
def index(config: Config, folder: str, as_json: bool) -> None:
    """Adopt a folder of someone else's tars, or make lost sidecars of a generated set again."""
    from ..pipeline.progress.line import Progress
    from ..pipeline.shards.status import describe_set
    from ..pipeline.shards.writing.adopt import index_shards

    with Progress("index", 0, "tars") as progress:
        index_shards(folder, progress=_report(progress))
    print_result(describe_set(folder), as_json, "index")
    say_next(as_json, "shards", "verify", folder)


@shards.command(cls=Command)
@set_argument
@config_options(ScoreConfig)
@json_option
def score(config: ScoreConfig, shard_set: str, as_json: bool) -> None:
    """Add a side table to a set: hardness, distance to the nearest real image, and cluster, by an encoder."""
    from ..pipeline.evaluation.shard_scores.score import score_shards

    print_result(score_shards(shard_set, config), as_json, "score")
    say_next(as_json, "shards", "preview", shard_set, "--sort", "hardness", "--out", "hardest.png")


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
        size = row["image_size"] or row["recipe"].get("image_size") or "?"  # a partial set's is in its recipe
        table.add_row(
            row["path"],
            row["recipe_hash"][:8],
            row["kind"],
            f"{there:,}" if there == wanted else f"{there:,} of {wanted:,}",
            f"{row['views_per_sample']} x {size} px {row['image_format'] or ''}",
            f"{row['bytes'] / 1e6:,.1f} MB",
            row["state"],
        )
    print_table(table)
    for row in sets:
        if "error" in row:
            click.echo(f"{row['path']}: {row['error']}")
