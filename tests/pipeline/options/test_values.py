"""Values become their option's type, or are refused in a sentence."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import Config, option
from synthcl.pipeline.options.values import as_text, checked_value, from_text


@dataclass(kw_only=True)
class Values(Config):
    size: int = option(32, help="Pixels.")
    rate: float = option(0.5, help="A rate.", minimum=0)
    name: str = option("x", help="A name.")
    fast: bool = option(False, help="Fast.")
    path: str = option("x.png", help="A file.", ending=".png")
    sizes: list[int] = option([], help="Sizes.", minimum=1)
    method: str = option("a", help="A method.", choices=("a", "b"), or_class=True)
    numbers: dict[str, Any] = option({}, help="Numbers.")


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("size", np.int64(3), 3),
        ("size", "12", 12),
        ("rate", np.float32(0.25), 0.25),
        ("rate", 1, 1.0),
        ("rate", "1e-3", 0.001),
        ("name", Path("a/b"), "a/b"),
        ("name", 2024, "2024"),
        ("sizes", (1, "2"), [1, 2]),
        ("sizes", 3, [3]),
        ("path", Path("a.PNG"), "a.PNG"),
        ("method", "my.module:Method", "my.module:Method"),
        ("numbers", {"a": 1}, {"a": 1}),
    ],
)
def test_values_from_files_and_notebooks_become_plain(name, given, taken):
    value = getattr(Values(**{name: given}), name)
    assert value == taken and type(value) is type(taken)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("size", True, "--size takes a whole number, not True"),
        ("size", None, "--size takes a whole number, not None"),
        ("size", 2**62, f"--size must be at most {2**62 - 1}, not {2**62}"),
        ("rate", math.nan, "--rate"),
        ("rate", math.inf, "--rate takes a number, not inf"),
        ("rate", "fast", "--rate takes a number, not 'fast'"),
        ("rate", "nan", "--rate"),
        ("name", True, "--name takes text, not True"),
        ("fast", "yes", "--fast takes true or false, not 'yes'"),
        ("path", "x.jpg", "--path x.jpg must end in .png"),
        ("sizes", [1, 0], "--sizes must be at least 1, not 0"),
        ("sizes", [1, "x"], "--sizes takes a whole number, not 'x'"),
        ("method", "c", "--method 'c' is not known; choose one of a, b, or package.module:Class"),
        ("method", "c:d e", "--method 'c:d e' is not of the form package.module:Class: a module has letters"),
        ("numbers", [1], "--numbers takes names with values, not [1]"),
    ],
)
def test_wrong_values_from_files_and_notebooks_are_refused(name, given, message):
    with pytest.raises(UsageError, match="^" + re.escape(message)):
        Values(**{name: given})


@pytest.mark.parametrize(
    ("value", "hint", "taken"),
    [
        ("1e-3", float, 0.001),
        (3.0, int, 3),
        (None, float | None, None),
        ("x", str, "x"),
        (5, str, "5"),
        (True, bool, True),
        ([1, "2"], tuple[int, ...], (1, 2)),
        (1, Any, 1),
    ],
)
def test_a_single_value_becomes_its_type(value, hint, taken):
    assert checked_value("x", value, hint) == taken


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        ("x", float | None, "x takes a number or none, not 'x'"),
        (None, float, "x takes a number, not None"),
        (True, int, "x takes a whole number, not True"),
        ("yes", bool, "x takes true or false, not 'yes'"),
        ("a", tuple[int, ...], "x takes a value of type tuple[int, ...], not 'a'"),
    ],
)
def test_a_single_value_of_another_type_is_refused(value, hint, message):
    with pytest.raises(UsageError, match="^" + re.escape(message)):
        checked_value("x", value, hint)


@pytest.mark.parametrize("value", [1, 1e-5, 2.5, True, None, "text", "a b", "1e-3", "", "4:00:00"])
def test_a_value_reads_back_from_text(value):
    assert from_text(f"name={as_text(value)}") == ("name", value)


@pytest.mark.parametrize("text", ["name", "=3", "name=", ""])
def test_text_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="not of the form NAME=VALUE"):
        from_text(text)


def test_a_time_stays_what_was_typed():
    assert from_text("time=4:00:00") == ("time", "4:00:00")


def test_values_that_yaml_has_a_structure_for_stay_text():
    assert from_text("a-name=[1, 2]") == ("a_name", "[1, 2]") and from_text("b={") == ("b", "{")
