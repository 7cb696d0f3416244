"""An option, defined once: a field of a dataclass, from which the command-line option, the YAML key and the saved
`config.yaml` all follow.

    @dataclass(kw_only=True)
    class ThingConfig(Config):
        size: int = option(32, help="Pixels a side.", minimum=8)

Nothing here imports torch, so that `--help` is quick.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import shlex
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import yaml

from .errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self


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
    """The switch without which the option means nothing: `hard` for what is refused beside `--no-hard`."""


def option(default: Any = MISSING, *, help: str, **info: Any) -> Any:
    """A field of a `Config`; see `OptionInfo` for what else it may say. Without a default it must be given."""
    metadata = {"option": OptionInfo(help=help, **info)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def flag(name: str) -> str:
    """`batch_size` as the user types it: `--batch-size`."""
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class OptionType:
    """The value type of an option: `kind` is str, int, float or bool."""

    kind: type
    optional: bool
    multiple: bool


def option_types(config: type[Config]) -> dict[str, OptionType]:
    """The type of each option of a config class."""
    hints = typing.get_type_hints(config)
    return {f.name: _option_type(hints[f.name]) for f in dataclasses.fields(config)}


def _option_type(hint: Any) -> OptionType:
    optional = False
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        members = [m for m in typing.get_args(hint) if m is not type(None)]
        assert len(members) == 1, f"an option has one type, not {hint}"
        optional, hint = True, members[0]
    if typing.get_origin(hint) is list:
        return OptionType(kind=typing.get_args(hint)[0], optional=optional, multiple=True)
    return OptionType(kind=hint, optional=optional, multiple=False)


@dataclass(kw_only=True)
class Config:
    """The options of a command, checked.

    Raises:
        UsageError: a value outside what its option takes. Checks across options belong in a subclass's
            `__post_init__`, after `super().__post_init__()`.
        TypeError: when a subclass is defined, a default that its option does not take, such as None for `str`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hints = typing.get_type_hints(cls)
        for name, declared in vars(cls).items():
            if isinstance(declared, dataclasses.Field) and name in hints:
                _check_default(f"{cls.__name__}.{name}", declared, _option_type(hints[name]))

    def __post_init__(self) -> None:
        option_kinds = option_types(type(self))
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if value is None and option_kinds[f.name].optional:
                continue
            converted = _convert(f.name, value, option_kinds[f.name])
            setattr(self, f.name, converted)
            for one in converted if option_kinds[f.name].multiple else [converted]:
                _check(f.name, one, f.metadata["option"])

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """A config of the given values and the defaults of the others.

        Raises:
            UsageError: a name that is no option, or an option without default that is not given.
        """
        fields = {f.name: f for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise UsageError(
                f"there is no option {unknown[0]!r}{did_you_mean(unknown[0], fields)}; the options are "
                f"{', '.join(fields)}"
            )
        for name, f in fields.items():
            if f.default is MISSING and f.default_factory is MISSING and values.get(name) is None:
                raise UsageError(f"Missing option '{flag(name)}': {f.metadata['option'].help}")
        return cls(**values)

    def check_given(self, names: Iterable[str]) -> None:
        """Refuse options that mean nothing beside the others; called with those that the user typed.

        An option left at its default is no statement of the user's unless it was typed, which only the command line
        knows. Other values are checked when the config is made.

        Args:
            names: the options on the command line.

        Raises:
            UsageError: an option that would be ignored.
        """

    def to_dict(self) -> dict[str, Any]:
        """Names and values, as `config.yaml` has them."""
        return dataclasses.asdict(self)


def _check_default(name: str, declared: dataclasses.Field, wanted: OptionType) -> None:
    """Refuse a declaration whose default is not of its type: converted, None would become the text 'None'."""
    required = declared.default is MISSING and declared.default_factory is MISSING
    default = default_of(declared)
    if required or (default is None and wanted.optional):
        return
    values = default if wanted.multiple else [default]
    takes_it = isinstance(values, list) and all(
        type(value) is wanted.kind or (wanted.kind is float and type(value) is int) for value in values
    )
    if not takes_it:
        kind = f"list[{wanted.kind.__name__}]" if wanted.multiple else wanted.kind.__name__
        hint = f"; declare it as {kind} | None" if default is None else ""
        raise TypeError(f"{name} is declared {kind} and its default is {default!r}{hint}")


def _convert(name: str, value: Any, wanted: OptionType) -> Any:
    """`value` as the option's type; YAML gives `1e-3` as a string and whole floats as integers."""
    if wanted.multiple:
        values = value if isinstance(value, (list, tuple)) else [value]
        return [_convert(name, v, OptionType(wanted.kind, False, False)) for v in values]
    try:
        if wanted.kind is bool:
            if not isinstance(value, bool):
                raise ValueError
            return value
        if isinstance(value, bool) or (wanted.kind is int and float(value) != int(float(value))):
            raise ValueError
        if value is None or isinstance(value, (list, tuple, dict)):  # str() would take them too
            raise ValueError
        return wanted.kind(value)
    except (TypeError, ValueError):
        raise UsageError(f"{flag(name)} takes a value of type {wanted.kind.__name__}, not {value!r}") from None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` (did you mean 'NAME'?)` of the name that is like it, for the middle of a sentence; nothing if none is."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def check_ending(name: str, file: str | Path, ending: str) -> None:
    """Raises UsageError unless the name of the file that an option gives ends in `ending`, such as `.png`."""
    if PurePath(file).suffix.lower() != ending:
        raise UsageError(f"{flag(name)} {file} must end in {ending}")


def _check(name: str, value: Any, info: OptionInfo) -> None:
    if info.ending is not None:
        check_ending(name, value, info.ending)
    if info.choices is not None and value not in info.choices:
        raise UsageError(f"{flag(name)} {value!r} is not known; choose one of {', '.join(info.choices)}")
    bounds = [
        (info.minimum, lambda bound: value >= bound, "at least"),
        (info.maximum, lambda bound: value <= bound, "at most"),
        (info.above, lambda bound: value > bound, "above"),
        (info.below, lambda bound: value < bound, "below"),
    ]
    for bound, holds, word in bounds:
        if bound is not None and not holds(bound):
            raise UsageError(f"{flag(name)} must be {word} {bound}, not {value}")


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
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if arguments and isinstance(arguments[-1], config):
                if options:
                    raise TypeError(f"{function.__name__} takes a {config.__name__} or options by name, not both")
                return function(*arguments)
            return function(*arguments, config.from_values(options))

        return call

    return decorate


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
        for one in value if isinstance(value, list) else [value]:
            words += [flag(f.name), str(one)]
    return shlex.join(words)
