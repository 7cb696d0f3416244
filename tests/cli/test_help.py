"""`--help`, `--config` and `--dry-run`, of all commands."""

import subprocess
import sys

import click
import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import COMMANDS, main
from synthcl.cli.command import OTHERS, REQUIRED
from synthcl.pipeline.options.types import HEADINGS


def commands(group=main, path=()):
    """All commands, ("shards", "verify") to the command."""
    context = click.Context(group)
    found = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found |= commands(command, (*path, name)) if isinstance(command, click.Group) else {(*path, name): command}
    return found


EVERY_COMMAND = pytest.mark.parametrize("path", commands(), ids="-".join)
FEW = 14
"""Options beside the required ones that a command may have without headings."""


def help_of(*path):
    result = CliRunner().invoke(main, [*path, "--help"], terminal_width=100)
    assert result.exit_code == 0
    return result.stdout


def sections(text):
    """The text below each heading."""
    found, heading = {}, ""
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            heading = line[:-1]
            assert heading not in found, f"{heading} stands twice"
        found[heading] = found.get(heading, "") + line + "\n"
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_their_help_says(name):
    command = main.get_command(click.Context(main), name)
    assert COMMANDS[name][1] == command.get_short_help_str(limit=1000)
    assert command.help.startswith(COMMANDS[name][1])


@pytest.mark.parametrize("group", [(), ("shards",), ("runs",), ("eval",)], ids=str)
def test_summaries_are_whole_sentences(group):
    listed = sections(help_of(*group))["Commands"]
    assert "..." not in listed
    summaries = " ".join(listed.split())
    for path, command in commands().items():
        if path[:-1] == group:
            assert f"{path[-1]} {command.get_short_help_str(limit=1000)}" in summaries


@EVERY_COMMAND
def test_options_stand_under_headings_with_the_required_ones_first(path):
    found = sections(help_of(*path))
    headings = [heading for heading in found if heading]
    assert headings == [heading for heading in (REQUIRED, *HEADINGS, OTHERS) if heading in headings]
    options = [p for p in commands()[path].params if isinstance(p, click.Option)]
    for option in options:
        heading = getattr(option, "heading", OTHERS)
        assert f"  {option.opts[0]} " in found[heading] + " ", option.opts
    assert sum(getattr(option, "heading", OTHERS) == OTHERS for option in options) <= FEW + 4  # config, json, ...


def test_every_heading_is_used():
    used = {getattr(option, "heading", OTHERS) for command in commands().values() for option in command.params}
    assert set(HEADINGS) <= used


@EVERY_COMMAND
def test_every_command_takes_a_file_and_shows_what_it_would_take(path):
    flags = {flag for parameter in commands()[path].params for flag in parameter.opts}
    if path == ("env",):  # which has no options
        assert "--config" not in flags
        return
    assert {"--config", "--dry-run", "--json", "--debug"} <= flags


@pytest.mark.parametrize("arguments", ["['--help']", "['train', '--help']", "['shards', '--help']"])
def test_help_imports_nothing_that_is_slow(arguments):
    code = f"import sys; from synthcl.cli import main; main({arguments}, standalone_mode=False); "
    code += "print({'torch', 'pydantic', 'numpy', 'rich'} & sys.modules.keys(), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"


FILES = {
    "shards preview": ("shard-set: s/c10\nout: x.png\ncolumns: 4\n", ["--columns", 6], {"columns": 6, "out": "x.png"}),
    "shards verify": ("shard_set: s/c10\n", ["--decode"], {"decode": True}),
    "shards score": ("encoder: runs/real\nshard_set: s/c10\n", [], {"encoder": "runs/real", "clusters": 10}),
    "shards info": ("shard_set: s/c10\n", [], {}),
    "shards list": ("", [], {"folder": "."}),
    "shards index": ("folder: tars\n", [], {"folder": "tars"}),
    "runs show": ("run: runs/real\nout: x.png\n", [], {"run": "runs/real", "out": "x.png"}),
    "runs list": ("folder: runs\n", ["other"], {"folder": "other"}),
    "eval linear": ("run: runs/real\nprobe: sgd\ndata: digits\n", ["--epochs", 3], {"run": "runs/real", "epochs": 3}),
    "eval quality": ("source: s/c10\ndata: digits\n", [], {"source": "s/c10", "k": 5}),
    "embed": ("data: digits\nout: x.parquet\n", ["runs/other"], {"run": "runs/other", "data": ["digits"]}),
    "export": ("run: runs/real\nout: x\n", ["--to", "timm"], {"run": "runs/real", "to": "timm"}),
}


@pytest.mark.parametrize("command", FILES)
def test_a_file_may_name_what_a_command_is_about(synthcl, tmp_path, command):
    text, given, expected = FILES[command]
    (tmp_path / "c.yaml").write_text(text)
    call = [*command.split(), "--config", tmp_path / "c.yaml", "--dry-run"]
    printed = yaml.safe_load(synthcl(*call, *given).stdout)
    assert {name: printed[name] for name in expected} == expected
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(printed))
    assert yaml.safe_load(synthcl(*command.split(), "--config", tmp_path / "again.yaml", "--dry-run").stdout) == printed
    assert synthcl(*call, *given, "--json").json == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shards", "info"], "Missing argument 'SET'"),
        (["eval", "knn", "--data", "digits"], "Missing argument 'RUN'"),
        (["eval", "knn", "RUN"], "Missing option '--data'"),
        (["eval", "knn", "RUN", "--data", "digits", "--preset", "dino", "--k", 3, "--temperature", 1], "--preset says"),
        (["eval", "linear", "RUN", "--data", "digits", "--epochs", 100], "--epochs is for --probe sgd; it cannot"),
        (["eval", "linear", "RUN", "--data", "d", "--probe", "sgd", "--l2", 1], "--l2 is for --probe lbfgs; it cannot"),
        (
            ["shards", "preview", "s", "--out", "x.png", "--ascending"],
            "--ascending means nothing without --sort COLUMN",
        ),
        (["shards", "preview", "s", "--out", "x.png", "--columns", 65], "--columns must be at most 64, not 65"),
        (
            ["generate", "--generator", "g", "--num-samples", 3, "--out", "x", "--quality", 3],
            "--quality is for --format",
        ),
        (["generate", "--generator", "g", "--num-samples", 3, "--out", "x", "--pair-strength", 0.3], "without --pairs"),
        (["train", "--data", "d", "--out", "x", "--steps", 1, "--shards-per-window", 8], "means nothing in the regime"),
    ],
)
def test_what_is_missing_or_without_meaning_is_told(synthcl, arguments, message):
    assert message in " ".join(synthcl(*arguments, "--dry-run", code=2).stderr.split())
