"""Options: values are checked and converted, files and flags resolve, differences are told."""

import re
import shlex
from dataclasses import dataclass

import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import Config, command_line, differences, option, override, read_yaml, write_yaml


@dataclass(kw_only=True)
class Thing(Config):
    name: str = option(help="A name.")
    size: int = option(32, help="Pixels.", minimum=8, maximum=128)
    rate: float | None = option(None, help="A rate.", above=0, below=1)
    kind: str = option("a", help="A kind.", choices=("a", "b"))
    parts: list[str] = option([], help="Parts.")
    fast: bool = option(False, help="Fast.")
    steps: int = option(10, help="Steps.", may_change=True)


def test_values_are_converted_to_their_types():
    thing = Thing.from_values({"name": "x", "rate": "1e-3", "size": 32.0, "parts": "one"})
    assert (thing.rate, thing.size, thing.parts) == (1e-3, 32, ["one"])
    assert isinstance(thing.size, int)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 7}, "--size must be at least 8, not 7"),
        ({"size": 129}, "--size must be at most 128, not 129"),
        ({"rate": 0}, "--rate must be above 0, not 0"),
        ({"rate": 1}, "--rate must be below 1, not 1"),
        ({"kind": "c"}, "--kind 'c' is not known; choose one of a, b"),
        ({"size": 8.5}, "--size takes a whole number, not 8.5"),
        ({"size": "many"}, "--size takes a whole number, not 'many'"),
        ({"fast": 1}, "--fast takes true or false, not 1"),
        ({"name": None}, "Missing option '--name'"),
        ({"name": ["x", "y"]}, "--name takes text, not ['x', 'y']"),
        ({"kind": None}, "--kind takes text, not None"),
        ({"speed": 1}, "there is no option 'speed'; the options are name, size"),
    ],
)
def test_wrong_values_are_refused_with_option_value_and_fix(values, message):
    with pytest.raises(UsageError, match="^" + re.escape(message)):
        Thing.from_values({"name": "x", **values})


@pytest.mark.parametrize(
    ("kind", "default"), [(str, None), (int, "a"), (bool, 0), (list[str], None), (list[int], ["a"]), (float, True)]
)
def test_a_default_of_another_type_is_never_taken(kind, default):
    wrong = type("Wrong", (Config,), {"__annotations__": {"root": kind}, "root": option(default, help="A folder.")})
    with pytest.raises(UsageError, match="--root takes "):
        dataclass(kw_only=True)(wrong)()


@pytest.mark.parametrize("make", [Thing, Thing.from_values])
def test_a_misspelt_option_is_told_from_the_one_that_is_like_it(make):
    with pytest.raises(UsageError, match=re.escape("there is no option 'stepps' (did you mean 'steps'?)")):
        make(name="x", stepps=1) if make is Thing else make({"name": "x", "stepps": 1})


@dataclass(kw_only=True)
class Needy(Config):
    solver: str = option("exact", help="A solver.", choices=("exact", "sgd", "adam"))
    epochs: int = option(100, help="Passes.", needs="solver=sgd|adam")
    grid: bool = option(True, help="On a grid.")
    columns: int = option(8, help="Columns.", needs="grid")
    picture: str | None = option(None, help="A picture.")
    colour: str | None = option(None, help="Its colour.", needs="picture")
    sorted: bool = option(False, help="In order.")
    ascending: bool = option(False, help="Smallest first.", needs="sorted")


NEEDS = {
    "another value": (
        {"epochs": 3},
        "--epochs is for --solver sgd or --solver adam; it cannot be given with --solver exact",
    ),
    "a switch that is off": (
        {"columns": 3, "grid": False},
        "--columns is for --grid; it cannot be given with --no-grid",
    ),
    "an option": ({"colour": "red"}, "--colour means nothing without --picture; give both, or leave it out"),
    "a switch that is not on": ({"ascending": True}, "--ascending means nothing without --sorted"),
}


@pytest.mark.parametrize(("values", "message"), NEEDS.values(), ids=NEEDS.keys())
def test_an_option_without_what_it_needs_is_refused(values, message):
    with pytest.raises(UsageError, match="^" + re.escape(message)):
        Needy(**values)
    name, *_ = values
    at_default = Needy(**{n: v for n, v in values.items() if n != name})
    with pytest.raises(UsageError, match="^" + re.escape(message)):  # its default, typed
        at_default.check_given([name])


def test_an_option_with_what_it_needs_is_taken():
    config = Needy(solver="adam", epochs=3, columns=4, picture="x", colour="red", sorted=True, ascending=True)
    config.check_given(config.to_dict())


def test_a_saved_config_reads_back(tmp_path):
    thing = Thing(name="x", rate=0.5, parts=["p", "q"], fast=True)
    (tmp_path / "config.yaml").write_text(write_yaml(thing.to_dict()))
    assert Thing.from_values(read_yaml(tmp_path / "config.yaml")) == thing


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1,\n"])
def test_a_file_that_is_no_config_is_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"c\.yaml"):
        read_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize("time", ["4:00:00", "30:00", "1:30.5"])
def test_a_time_in_a_file_is_what_was_typed(tmp_path, time):
    """YAML 1.1 has sixties in it: 4:00:00 would be 14400, which Slurm takes for minutes."""
    (tmp_path / "c.yaml").write_text(f"name: {time}\nsize: 010\nrate: 1.5\n")
    assert read_yaml(tmp_path / "c.yaml") == {"name": time, "size": 8, "rate": 1.5}


def test_aliases_that_lead_back_to_themselves_end(tmp_path):
    (tmp_path / "c.yaml").write_text("parts: &a [1, *a, *a]\n")
    assert read_yaml(tmp_path / "c.yaml")["parts"][0] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 1\nsize: 8\nsteps: 2\n", "has steps twice, in lines 1 and 3; keep one of them"),
        ("batch-size: 1\nbatch_size: 2\n", "has batch_size twice, in lines 1 and 2"),
        ("arms:\n  a: {seed: 1}\n  b: {}\n  a: {}\n", "has a twice, in lines 2 and 4"),
        ("arms:\n  - {seed: 1, seed: 2}\n", "has seed twice, in lines 2 and 2"),
    ],
)
def test_a_name_that_stands_twice_in_a_file_is_refused(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_yaml(tmp_path / "c.yaml")


LENGTHS = {
    "the other one": ({"steps": 7, "seed": 1}, {"epochs": 1}, {"epochs": 1, "seed": 1}),
    "and back": ({"epochs": 1}, {"steps": 7}, {"steps": 7}),
    "none beside it, as a run saves it": ({"steps": 7, "epochs": None}, {"epochs": 1}, {"epochs": 1}),
    "both, which are refused later": ({"steps": 7}, {"steps": 9, "epochs": 1}, {"steps": 9, "epochs": 1}),
    "another option": ({"steps": 7}, {"seed": 3}, {"steps": 7, "seed": 3}),
}


@pytest.mark.parametrize(("in_file", "given", "expected"), LENGTHS.values(), ids=LENGTHS.keys())
def test_what_is_given_takes_the_place_of_what_says_the_same_in_another_way(in_file, given, expected):
    for config in (TrainConfig, CompareConfig):
        assert override(in_file, given, config) == expected


def test_differences_name_the_options_but_not_those_that_may_change():
    saved, given = Thing(name="x", steps=1).to_dict(), Thing(name="y", size=64, steps=2).to_dict()
    assert differences(saved, given, Thing) == ["--name: 'x' there, 'y' now", "--size: 32 there, 64 now"]


def test_an_option_that_an_earlier_version_did_not_have_counts_as_its_default():
    saved = Thing(name="x").to_dict()
    del saved["size"]
    assert differences(saved, Thing(name="x").to_dict(), Thing) == []
    assert differences(saved, Thing(name="x", size=64).to_dict(), Thing) == ["--size: 32 there, 64 now"]


def test_a_printed_command_has_the_options_it_was_made_of():
    config = TrainConfig(
        data="a folder",
        out="runs/x y",
        shards=["a", "b's"],
        where="hardness > 1",
        sync_batchnorm=False,
        steps=3,
        learning_rate=1e-3,
    )
    command = shlex.split(command_line("train", config))
    assert command[:2] == ["synthcl", "train"] and "--no-sync-batchnorm" in command and "--batch-size" not in command
    printed = CliRunner().invoke(main, [*command[1:], "--dry-run"])
    assert yaml.safe_load(printed.stdout) == config.to_dict()
