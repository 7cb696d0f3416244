"""Locations on the Hugging Face hub, written as its own file system writes them: `hf://datasets/USER/NAME`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError

SCHEME = "hf://"
KINDS = {"datasets": "dataset", "models": "model"}
"""The first word after the scheme, and the kind of repository that it stands for; without one it is a model."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class HubLocation(NamedTuple):
    """A repository on the hub, or something in it."""

    kind: str
    """`dataset` or `model`."""
    repository: str
    """USER/NAME."""
    revision: str | None
    """A branch, a tag or a commit; None is `main`."""
    path: str
    """A file, a folder or a pattern in it; empty for all of it."""


def is_hub_location(text: str | Path) -> bool:
    """Whether a SPEC, a set or a generator is to be looked for on the hub."""
    return isinstance(text, str) and text.startswith(SCHEME)


def parse_location(text: str) -> HubLocation:
    """Take `hf://[datasets/]USER/NAME[@REVISION][/PATH]` apart.

    Raises:
        UsageError: it is not of that form.
    """
    kind, _, rest = text.removeprefix(SCHEME).partition("/")
    if kind not in KINDS:
        kind, rest = "models", text.removeprefix(SCHEME)
    user, _, rest = rest.partition("/")
    name, _, path = rest.partition("/")
    name, at, revision = name.partition("@")
    if "/" not in text.removeprefix(SCHEME) or (at and not revision) or ".." in path.split("/"):
        raise UsageError(_malformed(text))
    check_repository(f"{user}/{name}", text)
    return HubLocation(KINDS[kind], f"{user}/{name}", revision or None, path.strip("/"))


def check_repository(repository: str, given: str | None = None) -> None:
    """Raises UsageError if `repository`, which stands in what was `given`, is no USER/NAME."""
    user, slash, name = repository.partition("/")
    good = slash and _NAME.fullmatch(user) and _NAME.fullmatch(name) and len(repository) <= 96
    if not good and given is not None:
        raise UsageError(_malformed(given))
    if not good:
        raise UsageError(
            f"{repository!r} is no repository of the hub: give USER/NAME, of letters, digits, '.', '_' and '-'"
        )


def _malformed(text: str) -> str:
    return (
        f"{text!r} is no location on the hub: write hf://datasets/USER/NAME for data and hf://USER/NAME for a model, "
        "with @REVISION after the name and /PATH after that if wanted"
    )
