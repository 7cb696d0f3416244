"""Errors of generators that are the user's to mend. Importable without torch."""

from __future__ import annotations

from collections.abc import Sequence


class OptionError(ValueError):
    """An option that a generator or its trainer does not take, or not with that value."""


class ContractError(ValueError):
    """A class that does not keep to what every generator promises (`base.Generator`)."""


class UnknownOptionError(OptionError):
    """Options that a generator or its trainer does not have.

    Args:
        what: the generator or trainer, as after "a".
        unknown: the options' names.
        known: the names of those that it has.
    """

    def __init__(self, what: str, unknown: Sequence[str], known: Sequence[str]) -> None:
        self.what, self.unknown = what, unknown
        choices = f"its options are {', '.join(known)}" if known else "it has no options"
        super().__init__(f"a {what} takes no {', '.join(unknown)}: {choices}")
