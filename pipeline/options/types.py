"""What an option is: its help, its type, its bounds, and when it means something. `config.option` makes one."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HEADINGS = (
    "Comparison",
    "Source of synthetic images",
    "Images",
    "Learner",
    "Generator",
    "GAN",
    "Classes and prompts",
    "Diffusion",
    "Training",
    "Synthetic images in the loss",
    "Pairs",
    "Anchors",
    "Hard samples",
    "Training of the generator",
    "Shard set",
    "Evaluation",
    "Computing",
    "Executor",
    "Records",
    "Hub",
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
    needs: str | Sequence[str] = ()
    """What the option means nothing without: another option that is on or given, such as `hard` (refused beside
    `--no-hard`), or one of its values, such as `probe=sgd` or `format=jpg|webp`. All of them, where there are several.
    """
    group: str | None = None
    """The heading in `--help` that the option stands under, one of `HEADINGS`."""
    suggestions: Sequence[str] = ()
    """Values that the shell completes, of more than can be listed."""
    or_class: bool = False
    """Whether a class of the user's, `package.module:Class`, is taken besides `choices`."""

    @property
    def range(self) -> str:
        """The values that a number may have, as `--help` says it: `0<=x<1`; empty where it may have any."""
        low, at_least = (self.above, "") if self.minimum is None else (self.minimum, "=")
        high, at_most = (self.below, "") if self.maximum is None else (self.maximum, "=")
        if low is None:
            return "" if high is None else f"x<{at_most}{high:g}"
        return f"x>{at_least}{low:g}" if high is None else f"{low:g}<{at_least}x<{at_most}{high:g}"

    def unmet_need(self, values: Mapping[str, Any]) -> tuple[str, list[str]] | None:
        """The first of `needs` that these values of options do not meet: the option, and its values that would."""
        for need in [self.needs] if isinstance(self.needs, str) else self.needs:
            name, _, wanted = need.partition("=")
            accepted = wanted.split("|") if wanted else []
            if values[name] not in accepted if accepted else not values[name]:
                return name, accepted
        return None


@dataclass(frozen=True)
class OptionType:
    """The value type of an option: `kind` is str, int, float or bool; `mapping` is names with such values or any."""

    kind: type
    optional: bool = False
    multiple: bool = False
    mapping: bool = False


def option_types(config: type[DataclassInstance]) -> dict[str, OptionType]:
    """The type of each option of a config class."""
    hints = typing.get_type_hints(config)
    return {f.name: option_type(hints[f.name]) for f in dataclasses.fields(config)}


def option_type(hint: Any) -> OptionType:
    """What an annotation says: a plain type, that or None, a list of them, or a mapping."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        members = [m for m in typing.get_args(hint) if m is not type(None)]
        assert len(members) == 1, f"an option has one type, not {hint}"
        return OptionType(kind=members[0], optional=True)
    if typing.get_origin(hint) is list:
        return OptionType(kind=typing.get_args(hint)[0], multiple=True)
    if typing.get_origin(hint) is dict:
        return OptionType(kind=str, mapping=True)
    return OptionType(kind=hint)


def is_required(f: dataclasses.Field) -> bool:
    """Whether an option has no default."""
    return f.default is MISSING and f.default_factory is MISSING


def default_of(f: dataclasses.Field) -> Any:
    """An option's default; None if it must be given."""
    if f.default_factory is not MISSING:
        return f.default_factory()
    return f.default if f.default is not MISSING else None


def flag(name: str) -> str:
    """`batch_size` as the user types it: `--batch-size`."""
    return "--" + name.replace("_", "-")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` (did you mean 'NAME'?)` of the name that is like it, for the middle of a sentence; nothing if none is."""
    known = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f" (did you mean {known[near[0]]!r}?)" if near else ""
