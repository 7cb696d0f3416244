"""An option, defined once: a field of a dataclass, from which the command-line option, the YAML key and the saved
`config.yaml` all follow.

    @dataclass(kw_only=True)
    class ThingConfig(Config):
        size: int = option(32, help="Pixels a side.", minimum=8)

pydantic converts and checks the values. Nothing here imports torch, and pydantic only once there are values, so that
`--help` is quick.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import os
import re
import shlex
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml

from .errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails
    from typing_extensions import Self


HEADINGS = (
    "Comparison",
    "Source of synthetic images",
    "Images",
    "Learner",
    "Generator",
    "GAN",
    "Diffusion",
    "Training",
    "Synthetic images in the loss",
    "Pairs",
    "Hard samples",
    "Training of the generator",
    "Shard set",
    "Evaluation",
    "Computing",
    "Records",
)
"""The headings of `--help`, in their order. Options that must be given stand before them."""


@dataclass(frozen=True)
class OptionInfo:
    """What an option is, beyond its name, type and default."""

    help: str
    choices: Sequence[str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    metavar: str | None = None
    ending: str | None = None
    """How the name of a file that is written must end, such as `.png`: what is in it follows from the command."""
    instead_of: str | None = None
    """An option that says the same in another way: of the two, one on the command line beats the other in a file."""
    may_change: bool = False
    """Whether a run may be continued with another value: its length, its logging, where it computes."""
    concerns: tuple[str, ...] = ()
    """The regimes that the option means something in; () is all of them."""
    needs: str | None = None
    """What the option means nothing without: another option that is on or given, such as `hard` (refused beside
    `--no-hard`), or one of its values, such as `probe=sgd` or `format=jpg|webp`."""
    group: str | None = None
    """The heading in `--help` that the option stands under, one of `HEADINGS`."""
    or_form: str | None = None
    """A form of values besides `choices`; `package.module:Class` is the one there is."""


def option(default: Any = MISSING, *, help: str, **info: Any) -> Any:
    """A field of a `Config`; see `OptionInfo` for what else it may say. Without a default it must be given."""
    metadata = {"option": OptionInfo(help=help, **info)}
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def flag(name: str) -> str:
    """`batch_size` as the user types it: `--batch-size`."""
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class OptionType:
    """The value type of an option: `kind` is str, int, float or bool; `mapping` is names with such values or any."""

    kind: type
    optional: bool = False
    multiple: bool = False
    mapping: bool = False


def option_types(config: type[Config]) -> dict[str, OptionType]:
    """The type of each option of a config class."""
    hints = typing.get_type_hints(config)
    return {f.name: _option_type(hints[f.name]) for f in dataclasses.fields(config)}


def _option_type(hint: Any) -> OptionType:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        members = [m for m in typing.get_args(hint) if m is not type(None)]
        assert len(members) == 1, f"an option has one type, not {hint}"
        return OptionType(kind=members[0], optional=True)
    if typing.get_origin(hint) is list:
        return OptionType(kind=typing.get_args(hint)[0], multiple=True)
    if typing.get_origin(hint) is dict:
        return OptionType(kind=str, mapping=True)
    return OptionType(kind=hint)


@dataclass(kw_only=True)
class Config:
    """The options of a command, converted to their types and checked by pydantic (see `option_values`).

    Raises:
        UsageError: a name that is no option, or a value outside what its option takes. Checks across options belong in
            a subclass's `__post_init__`, after `super().__post_init__()`.
    """

    def __new__(cls, *arguments: Any, **values: Any) -> Self:
        # Before the dataclass's own `__init__`, which has a bare TypeError for a misspelt name.
        refuse_unknown(cls, values)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, value in option_values(type(self), vars(self)).items():
            setattr(self, name, value)
        self.check_needs()

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """A config of the given values and the defaults of the others.

        Raises:
            UsageError: a name that is no option, or an option without default that is not given.
        """
        refuse_unknown(cls, values)
        for f in dataclasses.fields(cls):
            if is_required(f) and values.get(f.name) is None:
                raise UsageError(f"Missing option '{flag(f.name)}': {f.metadata['option'].help}")
        return cls(**values)

    def check_needs(self) -> None:
        """Raises UsageError for an option that has a value and not what it needs to mean anything (`needs`)."""
        self._refuse_without_need(f for f in dataclasses.fields(self) if getattr(self, f.name) != default_of(f))

    def check_given(self, names: Iterable[str]) -> None:
        """Refuse options that mean nothing beside the others; called with those that the user typed.

        An option left at its default is no statement of the user's unless it was typed, which only the command line
        knows. Other values are checked when the config is made.

        Args:
            names: the options on the command line.

        Raises:
            UsageError: an option that would be ignored.
        """
        self._refuse_without_need(f for f in dataclasses.fields(self) if f.name in names)

    def _refuse_without_need(self, fields: Iterable[dataclasses.Field]) -> None:
        for f in fields:
            needed, _, wanted = (f.metadata["option"].needs or "").partition("=")
            if not needed:
                continue
            there, switch = getattr(self, needed), type(self).__dataclass_fields__[needed]
            if wanted and there not in wanted.split("|"):
                choices = " or ".join(f"{flag(needed)} {value}" for value in wanted.split("|"))
                raise UsageError(f"{flag(f.name)} is for {choices}; it cannot be given with {flag(needed)} {there}")
            if wanted or there:
                continue
            if isinstance(there, bool) and default_of(switch) is True:
                raise UsageError(f"{flag(f.name)} is for {flag(needed)}; it cannot be given with --no-{needed}")
            metavar = switch.metadata["option"].metavar
            wanted = flag(needed) + (f" {metavar}" if metavar else "")
            raise UsageError(f"{flag(f.name)} means nothing without {wanted}; give both, or leave it out")

    def to_dict(self) -> dict[str, Any]:
        """Names and values, as `config.yaml` has them."""
        return dataclasses.asdict(self)


def is_required(f: dataclasses.Field) -> bool:
    """Whether an option has no default."""
    return f.default is MISSING and f.default_factory is MISSING


def refuse_unknown(config: type[Config], names: Iterable[str], where: str = "") -> None:
    """Raises UsageError for the first of the names that is no option of `config`.

    Args:
        config: a config class.
        names: those given.
        where: they stand, for the message: ` in FILE`.
    """
    known = [f.name for f in dataclasses.fields(config)]
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            listed = f"; the options are {', '.join(known)}" if known and not near else ""
            raise UsageError(f"there is no option {name!r}{where}{near}{listed}")


def option_values(config: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of options, each as its option's type.

    Text from a file or a command line becomes numbers; paths become text; one value of a list becomes a list of one.

    Raises:
        UsageError: the first value that its option does not take: option, value, and what it takes.
    """
    from pydantic import ValidationError

    try:
        return _adapter(config).validate_python(dict(values))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        name = str(detail["loc"][0])
        info = config.__dataclass_fields__[name].metadata["option"]
        kind = option_types(config)[name]
        raise UsageError(_sentence(flag(name), detail, info.choices, value_type(kind))) from None


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
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = value
    return name.strip().replace("-", "_"), value if isinstance(read, (dict, list)) else read


def checked_value(name: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint`.

    Args:
        name: what the user calls it, for the message.
        value: given.
        hint: int, float, bool or str, one of them or None, or any that pydantic knows.

    Raises:
        UsageError: it is no value of that type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        kind = _option_type(hint)
    except AssertionError:
        kind = OptionType(kind=hint)
    ours = kind.kind in KINDS and not kind.mapping
    try:
        return TypeAdapter(_annotation(kind, OptionInfo(help="")) if ours else hint).validate_python(value)
    except ValidationError as error:
        takes = value_type(kind) if ours else f"a value of type {hint}"
        raise UsageError(_sentence(name, error.errors(include_url=False)[0], None, takes)) from None


KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
"""The types of values, in words."""
BOUNDS = {
    "minimum": ("ge", "at least"),
    "maximum": ("le", "at most"),
    "above": ("gt", "above"),
    "below": ("lt", "below"),
}
"""pydantic's names for the bounds of `OptionInfo`, and words for them."""


def value_type(kind: OptionType) -> str:
    """What values of a type are, in words."""
    return "names with values" if kind.mapping else KINDS[kind.kind] + (" or none" if kind.optional else "")


@functools.cache
def _adapter(config: type[Config]) -> TypeAdapter:
    """What checks the options of `config`. pydantic is imported here, so that `--help` is quick."""
    from pydantic import ConfigDict, TypeAdapter, with_config
    from typing_extensions import NotRequired, TypedDict

    infos = {f.name: f.metadata["option"] for f in dataclasses.fields(config)}
    annotations = {n: NotRequired[_annotation(kind, infos[n])] for n, kind in option_types(config).items()}
    make: Any = TypedDict  # made of what is known at run time alone
    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(make(config.__name__, annotations)))


def _annotation(kind: OptionType, info: OptionInfo) -> Any:
    """The type that pydantic checks an option by."""
    from pydantic import AfterValidator, BeforeValidator, Field, Strict

    one: Any = kind.kind
    if info.choices is not None and info.or_form is None:
        one = Literal[tuple(info.choices)]
    elif one is bool:
        one = Annotated[bool, Strict()]
    elif one is str:
        one = Annotated[str, Field(coerce_numbers_to_str=True), BeforeValidator(_no_path)]
    else:
        bounds: Any = {ours: getattr(info, name) for name, (ours, _) in BOUNDS.items()}
        one = Annotated[one, Field(**bounds), AfterValidator(_no_nan), BeforeValidator(_plain_number)]
    if info.ending is not None or info.or_form is not None:
        one = Annotated[one, AfterValidator(functools.partial(_check_text, info))]
    if kind.mapping:
        return dict[str, Any]
    if kind.multiple:
        return Annotated[list[one], BeforeValidator(lambda v: list(v) if isinstance(v, (list, tuple)) else [v])]
    return one | None if kind.optional else one


def _no_path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, PurePath) else value


def _plain_number(value: Any) -> Any:
    """numpy's numbers as Python's. A truth value, which pydantic takes for 0 or 1, is no number."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        raise ValueError
    return value


def _no_nan(value: float) -> float:
    if value != value:
        raise ValueError
    return value


def _check_text(info: OptionInfo, value: str) -> str:
    """Refuse text that has not the ending, or is neither a choice nor of the form, that the option asks for."""
    if info.ending is not None and PurePath(value).suffix.lower() != info.ending:
        raise ValueError(f"{value} must end in {info.ending}")
    if info.or_form is not None and value not in (info.choices or ()) and not is_form(info.or_form, value):
        raise ValueError(_unknown_choice(value, info.choices or (), info.or_form))
    return value


def is_form(form: str, value: str) -> bool:
    """Whether a value is of the form `package.module:Class`, the one that `OptionInfo.or_form` may name."""
    assert form == "package.module:Class"
    return re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", value) is not None


def _unknown_choice(value: Any, choices: Iterable[str], form: str | None = None) -> str:
    listed = ", ".join(choices) + (f", or {form}" if form else "")
    return f"{value!r} is not known{did_you_mean(str(value), choices)}; choose one of {listed}"


def _sentence(name: str, detail: ErrorDetails, choices: Sequence[str] | None, takes: str) -> str:
    """What pydantic found wrong with the value of option `name`."""
    value, context = detail["input"], detail.get("ctx", {})
    for bound, word in BOUNDS.values():
        if bound in context:
            return f"{name} must be {word} {context[bound]:g}, not {value}"
    if detail["type"] == "literal_error" and isinstance(value, str):
        return f"{name} {_unknown_choice(value, choices or ())}"
    if detail["type"] == "value_error" and str(context["error"]):
        return f"{name} {context['error']}"
    return f"{name} takes {takes}, not {value!r}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` (did you mean 'NAME'?)` of the name that is like it, for the middle of a sentence; nothing if none is."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def check_ending(name: str, file: str | Path, ending: str) -> None:
    """Raises UsageError unless the name of the file that an option gives ends in `ending`, such as `.png`."""
    if PurePath(file).suffix.lower() != ending:
        raise UsageError(f"{flag(name)} {file} must end in {ending}")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The options in a YAML file, by name.

    Raises:
        UsageError: a file that is missing or is no mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise UsageError(f"cannot read --config {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"--config {path} is not YAML: {str(error).splitlines()[0]}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} must hold names and values, one a line, such as 'steps: 100'")
    return {str(name).replace("-", "_"): value for name, value in values.items()}


def override(values: dict[str, Any], given: dict[str, Any], config: type[Config]) -> dict[str, Any]:
    """The options of a file, with those given on the command line in place of them and of what they stand instead of.

    Args:
        values: of the file.
        given: on the command line.
        config: whose options they are.
    """
    kept = dict(values)
    for f in dataclasses.fields(config):
        other = f.metadata["option"].instead_of
        for one, another in ((f.name, other), (other, f.name)) if other is not None else ():
            if one in given and another not in given:
                kept.pop(another, None)
    return {**kept, **given}


def write_yaml(values: dict[str, Any]) -> str:
    """The text of a `config.yaml`, in the order of the options."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def differences(saved: dict[str, Any], given: dict[str, Any], config: type[Config]) -> list[str]:
    """What differs between a saved config and a given one, a line each, but for what may change in a run.

    An option that is not in the saved one, which an earlier version wrote, had its default's effect.
    """
    lines = []
    infos = {f.name: f.metadata["option"] for f in dataclasses.fields(config)}
    defaults = {f.name: default_of(f) for f in dataclasses.fields(config)}
    for name in sorted(set(saved) | set(given)):
        if name in infos and infos[name].may_change:
            continue
        there = saved.get(name, defaults.get(name))
        if there != given.get(name):
            lines.append(f"{flag(name)}: {there!r} there, {given.get(name)!r} now")
    return lines


def default_of(f: dataclasses.Field) -> Any:
    """An option's default; None if it must be given."""
    if f.default_factory is not MISSING:
        return f.default_factory()
    return f.default if f.default is not MISSING else None


def takes_options(config: type[Config]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets a function whose last argument is a config be called with options by name too.

    train(TrainConfig(data="digits", steps=20, out="runs/real"))
    train(data="digits", steps=20, out="runs/real")
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        *leading, last = signature.parameters.values()

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if arguments and isinstance(arguments[-1], config):
                if options:
                    raise TypeError(f"{function.__name__} takes a {config.__name__} or options by name, not both")
                return function(*arguments)
            named = {p.name: options.pop(p.name) for p in leading if p.name in options}
            return function(*arguments, **named, **{last.name: config.from_values(options)})

        call.options = config  # type: ignore[attr-defined]
        call.__signature__ = signature.replace(parameters=[*leading, *_parameters(config)])  # type: ignore[attr-defined]
        return call

    return decorate


def _parameters(config: type[Config]) -> list[inspect.Parameter]:
    """The options as keyword arguments, for `help()` and notebooks; `pipeline/__init__.pyi` is for type checkers."""
    return [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if is_required(f) else default_of(f),
            annotation=f.type,
        )
        for f in dataclasses.fields(config)
    ]


def command_line(command: str, config: Config) -> str:
    """What to type for these options, those at their defaults left out."""
    words = ["synthcl", command]
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value == default_of(f):
            continue
        if isinstance(value, bool):
            words.append(flag(f.name) if value else flag("no_" + f.name))
            continue
        if isinstance(value, dict):
            value = [f"{name}={as_text(one)}" for name, one in value.items()]
        for one in value if isinstance(value, list) else [value]:
            words += [flag(f.name), str(one)]
    return shlex.join(words)
