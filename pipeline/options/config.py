"""An option, defined once: a field of a dataclass, from which the command-line option, the YAML key and the saved
`config.yaml` all follow.

    @dataclass(kw_only=True)
    class ThingConfig(Config):
        size: int = option(32, help="Pixels a side.", minimum=8)

`types.OptionInfo` has what an option may say of itself, and `values.option_values` checks values by it. Nothing here
imports torch, so that `--help` is quick.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import shlex
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import UsageError
from .types import OptionInfo, default_of, did_you_mean, flag, is_required
from .values import PlainLoader, as_text, option_values

if TYPE_CHECKING:
    from typing_extensions import Self


def option(default: Any = MISSING, *, help: str, **info: Any) -> Any:
    """A field of a `Config`; see `OptionInfo` for what else it may say. Without a default it must be given."""
    metadata = {"option": OptionInfo(help=help, **info)}
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


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
        self.refuse_without_need(f for f in dataclasses.fields(self) if getattr(self, f.name) != default_of(f))

    def check_given(self, names: Iterable[str]) -> None:
        """Refuse options that mean nothing beside the others; called with those that the user typed.

        An option left at its default is no statement of the user's unless it was typed, which only the command line
        knows. Other values are checked when the config is made.

        Args:
            names: the options on the command line.

        Raises:
            UsageError: an option that would be ignored.
        """
        self.refuse_without_need(f for f in dataclasses.fields(self) if f.name in names)

    def refuse_without_need(self, fields: Iterable[dataclasses.Field]) -> None:
        """Raises UsageError for the first of these options that lacks what it needs."""
        for f in fields:
            unmet = f.metadata["option"].unmet_need(vars(self))
            if unmet is None:
                continue
            needed, accepted = unmet
            other, value = type(self).__dataclass_fields__[needed], getattr(self, needed)
            if accepted:
                choices = " or ".join(f"{flag(needed)} {one}" for one in accepted)
                raise UsageError(f"{flag(f.name)} is for {choices}; it cannot be given with {flag(needed)} {value}")
            if default_of(other) is True:
                off = "--no-" + flag(needed).removeprefix("--")
                raise UsageError(f"{flag(f.name)} is for {flag(needed)}; it cannot be given with {off}")
            metavar = other.metadata["option"].metavar
            wanted = flag(needed) + (f" {metavar}" if metavar else "")
            for one in dataclasses.fields(self):
                if one.metadata["option"].instead_of == needed:
                    wanted += f" or {flag(one.name)}"
            raise UsageError(f"{flag(f.name)} means nothing without {wanted}; give both, or leave it out")

    def try_out(self) -> None:
        """What `--dry-run` tries besides, where the options name code of the user's.

        Raises:
            ValueError: it cannot be used.
        """

    def to_dict(self) -> dict[str, Any]:
        """Names and values, as `config.yaml` has them."""
        return dataclasses.asdict(self)


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


def check_ending(name: str, file: str | Path, ending: str) -> None:
    """Raises UsageError unless the name of the file that an option gives ends in `ending`, such as `.png`."""
    if PurePath(file).suffix.lower() != ending:
        raise UsageError(f"{flag(name)} {file} must end in {ending}")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The options in a YAML file, by name.

    Raises:
        UsageError: a file that is missing or is no mapping, or that has a name twice, of which YAML takes the last.
    """
    try:
        text = Path(path).read_bytes()
        _refuse_repeated(yaml.compose(text, yaml.SafeLoader), path)
        values = yaml.load(text, PlainLoader)
    except OSError as error:
        raise UsageError(f"cannot read --config {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"--config {path} is not YAML: {str(error).splitlines()[0]}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} must hold names and values, one a line, such as 'steps: 100'")
    return {str(name).replace("-", "_"): value for name, value in values.items()}


def _refuse_repeated(root: yaml.Node | None, path: str | Path) -> None:
    """Raises UsageError for a name that a mapping has twice, at any depth; `batch-size` and `batch_size` are one."""
    waiting, known = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_names(node, path)
        inside = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else []
        inside += node.value if isinstance(node, yaml.SequenceNode) else []
        # An alias may lead to a node that was there before, or that it is itself part of.
        waiting += [one for one in inside if id(one) not in known]
        known |= {id(one) for one in inside}


def _refuse_repeated_names(node: yaml.MappingNode, path: str | Path) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line, name = key.start_mark.line + 1, str(key.value).replace("-", "_")
        if name in seen:
            raise UsageError(
                f"--config {path} has {key.value} twice, in lines {seen[name]} and {line}; keep one of them"
            )
        seen[name] = line


def override(values: dict[str, Any], given: dict[str, Any], config: type[Config]) -> dict[str, Any]:
    """The options of a file, with those given on the command line in place of them and of what they stand instead of.

    Of names with values (`--learner-option`), those given join those in the file.

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
    merged = {name: {**kept[name], **value} for name, value in given.items() if _are_dicts(value, kept.get(name))}
    return {**kept, **given, **merged}


def _are_dicts(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)


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
    return shlex.join(["synthcl", command, *option_words(config)])


def option_words(config: Config) -> list[str]:
    """The options as words of a command line, those at their defaults left out."""
    words: list[str] = []
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
    return words
