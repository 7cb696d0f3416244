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
from synthcl.pipeline.options import Config, command_line, differences, option, override, read_yaml, write_yaml


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
        ({"size": 8.5}, "--size takes a value of type int, not 8.5"),
        ({"size": "many"}, "--size takes a value of type int, not 'many'"),
        ({"fast": 1}, "--fast takes a value of type bool, not 1"),
        ({"name": None}, "Missing option '--name'"),
        ({"name": ["x", "y"]}, "--name takes a value of type str, not ['x', 'y']"),
        ({"kind": None}, "--kind takes a value of type str, not None"),
        ({"speed": 1}, "there is no option 'speed'; the options are name, size"),
    ],
)
def test_wrong_values_are_refused_with_option_value_and_fix(values, message):
    with pytest.raises(UsageError, match="^" + re.escape(message)):
        Thing.from_values({"name": "x", **values})


@pytest.mark.parametrize(
    ("kind", "default", "message"),
    [
        (str, None, "root is declared str and its default is None; declare it as str | None"),
        (int, "8", "root is declared int and its default is '8'"),
        (bool, 0, "root is declared bool and its default is 0"),
        (list[str], None, "root is declared list[str] and its default is None"),
        (list[int], ["a"], "root is declared list[int] and its default is ['a']"),
    ],
)
def test_a_default_of_another_type_is_refused_when_the_class_is_defined(kind, default, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        type("Wrong", (Config,), {"__annotations__": {"root": kind}, "root": option(default, help="A folder.")})


def test_a_saved_config_reads_back(tmp_path):
    thing = Thing(name="x", rate=0.5, parts=["p", "q"], fast=True)
    (tmp_path / "config.yaml").write_text(write_yaml(thing.to_dict()))
    assert Thing.from_values(read_yaml(tmp_path / "config.yaml")) == thing


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1,\n"])
def test_a_file_that_is_no_config_is_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"c\.yaml"):
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
