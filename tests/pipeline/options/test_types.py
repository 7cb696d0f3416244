"""What an option is, read off a dataclass: its type, its default, and what it cannot do without."""

import dataclasses
from typing import Any

import pytest

from synthcl.pipeline.options.config import Config, option
from synthcl.pipeline.options.types import (
    OptionInfo,
    OptionType,
    default_of,
    did_you_mean,
    flag,
    is_required,
    option_type,
    option_types,
)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (int, OptionType(int)),
        (bool, OptionType(bool)),
        (str | None, OptionType(str, optional=True)),
        (None | float, OptionType(float, optional=True)),
        (list[float], OptionType(float, multiple=True)),
        (dict[str, Any], OptionType(str, mapping=True)),
    ],
)
def test_an_annotation_says_the_type(hint, expected):
    assert option_type(hint) == expected


def test_an_option_of_two_types_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="an option has one type"):
        option_type(int | str)


@dataclasses.dataclass(kw_only=True)
class Thing(Config):
    name: str = option(help="A name.")
    sizes: list[int] = option([3], help="Sizes.")
    rate: float | None = option(None, help="A rate.")


def test_fields_are_read_in_their_order():
    assert list(option_types(Thing).items()) == [
        ("name", OptionType(str)),
        ("sizes", OptionType(int, multiple=True)),
        ("rate", OptionType(float, optional=True)),
    ]
    fields = {f.name: f for f in dataclasses.fields(Thing)}
    assert [is_required(fields[name]) for name in fields] == [True, False, False]
    assert [default_of(fields[name]) for name in fields] == [None, [3], None]
    default_of(fields["sizes"]).append(4)
    assert default_of(fields["sizes"]) == [3], "each time a list of its own"


@pytest.mark.parametrize(
    ("needs", "values", "unmet"),
    [
        ((), {}, None),
        ("hard", {"hard": True}, None),
        ("hard", {"hard": False}, ("hard", [])),
        ("encoder", {"encoder": None}, ("encoder", [])),
        ("format=jpg|webp", {"format": "webp"}, None),
        ("format=jpg|webp", {"format": "png"}, ("format", ["jpg", "webp"])),
        (("hard", "on=weights"), {"hard": True, "on": "latents"}, ("on", ["weights"])),
        (("hard", "on=weights"), {"hard": False, "on": "latents"}, ("hard", [])),
    ],
)
def test_the_first_need_that_is_not_met(needs, values, unmet):
    assert OptionInfo(help="", needs=needs).unmet_need(values) == unmet


@pytest.mark.parametrize(
    ("name", "words"),
    [("stepps", " (did you mean 'steps'?)"), ("STEPS", " (did you mean 'steps'?)"), ("colour", "")],
)
def test_a_misspelt_name_is_answered_with_the_one_that_is_like_it(name, words):
    assert did_you_mean(name, ["size", "steps"]) == words


def test_a_name_as_it_is_typed():
    assert flag("batch_size") == "--batch-size"
