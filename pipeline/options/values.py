"""The values of options: pydantic converts and checks them, and what it finds wrong becomes a sentence.

pydantic is imported only once there are values, so that `--help` is quick.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml

from ..errors import UsageError
from .types import OptionInfo, OptionType, did_you_mean, flag, option_type, option_types

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
"""The types of values, in words."""
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
BOUNDS = {
    "minimum": ("ge", "at least"),
    "maximum": ("le", "at most"),
    "above": ("gt", "above"),
    "below": ("lt", "below"),
}
"""pydantic's names for the bounds of `OptionInfo`, and words for them."""
LARGEST = 2**62 - 1
"""The largest whole number of an option that has no bound of its own: what the manifest of a shard set takes. Ours."""


class PlainLoader(yaml.SafeLoader):
    """YAML whose `4:00:00` is a time as it was typed, and not the number 14400, as YAML 1.1 has it and 1.2 no more."""


def _whole_number(loader: PlainLoader, node: yaml.ScalarNode) -> int | str:
    return node.value if ":" in node.value else loader.construct_yaml_int(node)


def _number(loader: PlainLoader, node: yaml.ScalarNode) -> float | str:
    return node.value if ":" in node.value else loader.construct_yaml_float(node)


PlainLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)
PlainLoader.add_constructor("tag:yaml.org,2002:float", _number)


def option_values(config: type[DataclassInstance], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the options of a config class, each as its option's type.

    Text from a file or a command line becomes numbers; paths become text; one value of a list becomes a list of one.

    Raises:
        UsageError: the first value that its option does not take: option, value, and what it takes.
    """
    if not values:
        return {}
    from pydantic import ValidationError

    try:
        return _adapter(config).validate_python(dict(values))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        name = str(detail["loc"][0])
        info = config.__dataclass_fields__[name].metadata["option"]
        kind = option_types(config)[name]
        raise UsageError(_sentence(flag(name), detail, info.choices, value_type(kind))) from None


def checked_value(name: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint`.

    Args:
        name: what the user calls it, for the message.
        value: given.
        hint: int, float, bool or str, one of them or None, or any that pydantic knows.

    Raises:
        UsageError: it is no value of that type.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    plain = {form: option_type(form) for kind in KINDS for form in (kind, kind | None)}
    wanted = _annotation(plain[hint], OptionInfo(help="")) if hint in plain else hint
    try:
        return TypeAdapter(wanted, config=ConfigDict(coerce_numbers_to_str=True)).validate_python(value)
    except ValidationError as error:
        takes = value_type(plain[hint]) if hint in plain else f"a value of type {hint}"
        raise UsageError(_sentence(name, error.errors(include_url=False)[0], None, takes)) from None


def as_text(value: Any) -> str:
    """A plain value as it is typed after `NAME=`: as YAML has it."""
    return yaml.safe_dump(value).removesuffix("...\n").strip()


def from_text(text: str) -> tuple[str, Any]:
    """Name and value of `NAME=VALUE`, the value as YAML has it.

    Raises:
        ValueError: there is no name, or no value.
    """
    name, _, value = text.partition("=")
    if not name.strip() or not value.strip():
        raise ValueError(f"{text!r} is not of the form NAME=VALUE")
    try:
        read = yaml.load(value, PlainLoader)
    except yaml.YAMLError:
        read = value
    return name.strip().replace("-", "_"), value if isinstance(read, (dict, list)) else read


def value_type(kind: OptionType) -> str:
    """What values of a type are, in words."""
    return "names with values" if kind.mapping else KINDS[kind.kind] + (" or none" if kind.optional else "")


@functools.cache
def _adapter(config: type[DataclassInstance]) -> TypeAdapter:
    """What checks the options of `config`. pydantic is imported here, so that `--help` is quick."""
    from pydantic import ConfigDict, TypeAdapter, with_config
    from typing_extensions import NotRequired, TypedDict

    infos = {f.name: f.metadata["option"] for f in dataclasses.fields(config)}
    annotations = {n: NotRequired[_annotation(kind, infos[n])] for n, kind in option_types(config).items()}
    make: Any = TypedDict  # made of what is known at run time alone
    settings = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    return TypeAdapter(with_config(settings)(make(config.__name__, annotations)))


def _annotation(kind: OptionType, info: OptionInfo) -> Any:
    """The type that pydantic checks an option by."""
    from pydantic import AfterValidator, BeforeValidator, Field, Strict

    one: Any = kind.kind
    if info.choices is not None and not info.or_class:
        one = Literal[tuple(info.choices)]
    elif one is bool:
        one = Annotated[bool, Strict()]
    elif one is str:
        one = Annotated[str, BeforeValidator(_no_path)]
    else:
        bounds: Any = {ours: getattr(info, name) for name, (ours, _) in BOUNDS.items()}
        if one is int and info.maximum is None:
            bounds["le"] = LARGEST
        one = Annotated[one, Field(**bounds), AfterValidator(_finite), BeforeValidator(_plain_number)]
    if info.ending is not None or info.or_class or info.metavar == "DIR":
        one = Annotated[one, AfterValidator(functools.partial(_check_text, info))]
    if kind.mapping:
        return dict[str, Any]
    if kind.multiple:
        return Annotated[list[one], BeforeValidator(lambda v: list(v) if isinstance(v, (list, tuple)) else [v])]
    return one | None if kind.optional else one


def _no_path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _plain_number(value: Any) -> Any:
    """numpy's numbers as Python's. A truth value, which pydantic takes for 0 or 1, is no number."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        raise ValueError
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError
    return value


def _check_text(info: OptionInfo, value: str) -> str:
    """Refuse text that has not the ending, is neither a choice nor a class, or names no folder, where the option asks
    for that."""
    if info.metavar == "DIR" and not value:
        raise ValueError("is empty; give a folder")  # it would be the one that the command is called in
    if info.ending is not None and PurePath(value).suffix.lower() != info.ending:
        raise ValueError(f"{value} must end in {info.ending}")
    if info.or_class and value not in (info.choices or ()) and not _CLASS.fullmatch(value):
        raise ValueError(_no_class(value) or _unknown_choice(value, info.choices or (), ", or package.module:Class"))
    return value


def _no_class(value: str) -> str | None:
    """What is wrong with what looks like the name of a class; None if it does not."""
    module, colon, name = value.partition(":")
    if not colon or ":" in name or all(part.isidentifier() for part in (*module.split("."), name)):
        return None
    return f"{value!r} is not of the form package.module:Class: a module has letters, digits and _ in its name alone"


def _unknown_choice(value: str, choices: Sequence[str], more: str = "") -> str:
    return f"{value!r} is not known{did_you_mean(value, choices)}; choose one of {', '.join(choices)}{more}"


def _sentence(name: str, detail: ErrorDetails, choices: Sequence[str] | None, takes: str) -> str:
    """What pydantic found wrong with the value of option `name`."""
    value, context = detail["input"], detail.get("ctx", {})
    for bound, word in BOUNDS.values():
        if bound in context:
            limit = context[bound]
            return f"{name} must be {word} {f'{limit:g}' if isinstance(limit, float) else limit}, not {value}"
    if detail["type"] == "literal_error" and isinstance(value, str):
        return f"{name} {_unknown_choice(value, choices or ())}"
    if detail["type"] == "value_error" and str(context["error"]):
        return f"{name} {context['error']}"
    return f"{name} takes {takes}, not {value!r}"
