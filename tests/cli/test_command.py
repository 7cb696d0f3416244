"""What every command has: options and arguments, also from a file, errors in a sentence, and results."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from synthcl.cli.command import (
    Command,
    Group,
    argument,
    config_options,
    new_table,
    print_result,
    print_table,
    table_lines,
)
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import Config, option


def test_options_from_a_file_yield_to_those_given(synthcl, tmp_path):
    (tmp_path / "c.yaml").write_text("data: digits\nout: x\nsteps: 7\nbatch-size: 32\n")
    printed = synthcl("train", "--config", tmp_path / "c.yaml", "--steps", 9, "--dry-run").stdout
    assert "steps: 9" in printed and "batch_size: 32" in printed and "out: x" in printed
    printed = synthcl("train", "--config", tmp_path / "c.yaml", "--epochs", 2, "--dry-run").stdout
    assert "epochs: 2" in printed and "steps: null" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "there is no command 'trian' (did you mean 'train'?)"),
        (["xyz"], "there is no command 'xyz'"),
        (["eval", "liner", "RUN"], "there is no command 'liner' (did you mean 'linear'?)"),
        (["shards", "lst"], "there is no command 'lst' (did you mean 'list'?)"),
    ],
)
def test_a_misspelt_command_is_told_from_those_there_are(synthcl, arguments, message):
    assert f"Error: {message}\n" in synthcl(*arguments, code=2).stderr


def test_a_misspelt_option_in_a_file_is_told_with_the_file(synthcl, tmp_path):
    (tmp_path / "c.yaml").write_text("data: digits\nbatchsize: 8\n")
    error = synthcl("train", "--config", tmp_path / "c.yaml", "--out", "x", "--steps", 1, code=2).stderr
    assert "c.yaml (did you mean 'batch_size'?)" in " ".join(error.split())


@dataclass(kw_only=True)
class ThingConfig(Config):
    size: int = option(8, help="Pixels.", minimum=4)
    fast: bool = option(False, help="Fast.")
    kinds: list[str] = option([], help="Kinds.", choices=("a", "b"))
    numbers: dict[str, Any] = option({}, help="Numbers.")
    sort: str | None = option(None, help="An order.")
    ascending: bool = option(False, help="Upwards.", needs="sort")


@pytest.fixture
def thing():
    """A command of its own: `thing(*words)`; what it was called with, or the error that it is to raise."""

    def call(*words, error=None):
        called = []

        @click.command(cls=Command)
        @argument("place")
        @config_options(ThingConfig)
        def command(config, place):
            """Make a thing."""
            called.append((place, config))
            if error is not None:
                raise error

        return CliRunner().invoke(command, [str(word) for word in words]), called

    return call


def test_options_and_arguments_come_checked_and_as_their_types(thing):
    words = ["here", "--size", 9, "--fast", "--kinds", "a", "--kinds", "b", "--numbers", "rate=0.5", "--numbers", "n=3"]
    result, called = thing(*words)
    expected = ThingConfig(size=9, fast=True, kinds=["a", "b"], numbers={"rate": 0.5, "n": 3})
    assert (result.exit_code, called) == (0, [("here", expected)])


@pytest.mark.parametrize(
    ("words", "place", "size"), [([], "there", 16), (["here"], "here", 16), (["--size", 32], "there", 32)]
)
def test_what_is_typed_wins_over_the_file(thing, tmp_path, words, place, size):
    (tmp_path / "c.yaml").write_text("place: there\nsize: 16\n")
    result, ((found, config),) = thing("--config", tmp_path / "c.yaml", *words)
    assert (result.exit_code, found, config.size) == (0, place, size)


def test_a_dry_run_prints_what_a_file_can_give_back(thing, tmp_path):
    result, called = thing("here", "--size", 9, "--kinds", "b", "--dry-run")
    assert called == []
    (tmp_path / "c.yaml").write_text(result.stdout)
    _, again = thing("--config", tmp_path / "c.yaml")
    assert again == [("here", ThingConfig(size=9, kinds=["b"]))]


MINE = {
    "generate": ["--num-samples", 4, "--out", "x"],
    "preview": ["--out", "x.png"],
    "train --fresh": ["--data", "digits", "--steps", 1, "--out", "x"],
    "train --online": ["--data", "digits", "--steps", 1, "--out", "x"],
}


@pytest.mark.parametrize("command", MINE)
def test_a_dry_run_tries_a_generator_of_the_users_own(synthcl, monkeypatch, command):
    monkeypatch.chdir(Path(__file__).parents[2] / "examples")
    call = [*command.split(), *MINE[command], "--dry-run", "--generator"]
    wrong = synthcl(*call, "custom_generator:Grating", code=1).stderr
    if command == "train --online":
        assert "'custom_generator:Grating' is a custom generator, which does not learn" in " ".join(wrong.split())
        return
    assert "has no Grating; did you mean Gratings?" in " ".join(wrong.split())
    assert "generator: custom_generator:Gratings" in synthcl(*call, "custom_generator:Gratings").stdout
    assert "generator: nowhere" in synthcl(*call, "nowhere").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument"),
        (["x", "--size", 3], "--size must be at least 4, not 3"),
        (["x", "--ascending"], "--ascending means nothing without --sort"),
        (["x", "--no-ascending"], "--ascending means nothing without --sort"),  # a default, but typed
        (["x", "--kinds", "c"], "'c' is not one of 'a', 'b'"),
        (["x", "--numbers", "rate"], "not of the form NAME=VALUE"),
        (["x", "--config", "nowhere.yaml"], "cannot read --config nowhere.yaml: No such file or directory"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(thing, words, message):
    result, called = thing(*words)
    assert (result.exit_code, called) == (2, [])
    assert message in " ".join(result.stderr.split())


FREE_SOME = "free some space and run the same command again, which goes on or begins anew"


@dataclass(kw_only=True)
class Asking(Config):
    half: float = option(0.5, help="A part.", minimum=0, below=1, concerns=("online",))
    rate: float | None = option(None, help="A rate.", above=0)
    kind: str = option("plain", help="A kind.", choices=("plain", "moved"))
    moved: bool = option(False, help="Moved.", needs="kind=moved")
    plain: bool = option(False, help="Plain.", needs="kind=plain")


def test_help_says_which_values_regimes_and_other_options_an_option_takes():
    command = click.command(cls=Command)(config_options(Asking)(lambda config: None))
    shown = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=200).output.split())
    for words in (
        "A part. [online; 0<=x<1] [default: 0.5]", "A rate. [x>0]", "Moved. [with --kind moved] [default: no-moved]",
        "Plain. [default: no-plain]",
    ):  # fmt: skip
        assert words in shown


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UsageError("give another"), 2, "Error: give another"),
        (ValueError("the file is damaged"), 1, "Error: the file is damaged"),
        (OSError("the network is down"), 1, "Error: the network is down"),
        (OSError(28, "No space left on device"), 1, f"Error: No space left on device; {FREE_SOME}"),
        (OSError(122, "Disk quota exceeded", "a.png"), 1, f"Error: a.png: Disk quota exceeded; {FREE_SOME}"),
        (PermissionError(13, "Permission denied", "a.png"), 1, "Error: a.png: Permission denied"),
        (KeyError("x"), 1, "Error: KeyError: 'x' (unexpected; run again with --debug for the traceback)"),
        (ValueError(), 1, "Error: ValueError: (unexpected; run again with --debug for the traceback)"),
        (KeyboardInterrupt(), 1, "Error: interrupted; run the same command again to continue"),
    ],
)
def test_an_error_is_one_sentence_unless_it_is_to_be_debugged(thing, error, code, sentence):
    result, _ = thing("here", error=error)
    assert result.exit_code == code and " ".join(result.stderr.split()).endswith(sentence)
    if isinstance(error, Exception):
        assert thing("here", "--debug", error=error)[0].exception is error


def test_a_result_is_one_object_or_a_table_of_what_is_no_list(capsys):
    result = {"run": "runs/a", "num_images": 12, "loss": 1.23456, "notes": ["x"], "training": {"gamma": 1}}
    print_result(result, True, "train")
    assert json.loads(capsys.readouterr().out) == result
    print_result(result, False, "train")
    table = capsys.readouterr().out
    assert [row.strip("│ \n").split(" │ ")[-1].strip() for row in table.splitlines()[2:-1]] == ["runs/a", "12", "1.235"]
    assert "num images" in table and "notes" not in table


def test_a_table_for_people_cuts_nothing(capsys):
    name = "runs/" + "long" * 60
    table = new_table("Runs [a]", ["run", "steps"], numbers=["steps"])
    table.add_row(name, "7")
    table.add_row("[b]", "1000")
    title, *_, first, second, _ = table_lines(table)
    assert (title, first.split(), second.split()) == ("Runs [a]", [name, "7"], ["[b]", "1000"])
    assert len(first) == len(second), "numbers end in one column"
    print_table(table)
    assert name in capsys.readouterr().out


def test_a_group_says_what_each_command_does_uncut():
    words = "Do " + "very " * 40 + "much."

    @click.group(cls=Group)
    def group():
        pass

    group.command(cls=Command, name="zeal", help=words)(lambda: None)
    group.command(cls=Command, name="act", help="Act.")(lambda: None)
    shown = " ".join(CliRunner().invoke(group, ["--help"]).output.split())
    assert words in shown and shown.index("zeal") < shown.index("act")
