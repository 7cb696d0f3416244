"""Locations on the Hugging Face hub, written as its own file system writes them: `hf://datasets/USER/NAME`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from ..errors import UsageError

SCHEME = "hf://"
KINDS = {"datasets": "dataset", "models": "model"}
"""The first word after the scheme, and the kind of repository that it stands for; without one it is a model."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCATION = re.compile(
    r"(?P<repository>[^/@]*/[^/@]*)(@(?P<revision>refs/(convert/\w+|pr/\d+)(?=/|$)|[^/]+))?(/(?P<path>.*))?", re.DOTALL
)
"""The hub's own revisions are written with their slashes; a slash of another revision is written `%2F`."""


class HubLocation(NamedTuple):
    """A repository on the hub, or something in it."""

    kind: str
    """`dataset` or `model`."""
    repository: str
    """USER/NAME."""
    revision: str | None
    """A branch, a tag, a commit or one of the hub's own, such as `refs/convert/parquet`; None is `main`."""
    path: str
    """A file, a folder or a pattern in it; empty for all of it."""


def is_hub_location(text: str | Path) -> bool:
    """Whether a SPEC, a set or a generator is to be looked for on the hub."""
    return isinstance(text, str) and text.startswith(SCHEME)


def parse_location(text: str) -> HubLocation:
    """Take `hf://[datasets/]USER/NAME[@REVISION][/PATH]` apart, as the hub client's file system does.

    Raises:
        UsageError: it is not of that form.
    """
    kind, _, rest = text.removeprefix(SCHEME).partition("/")
    if kind not in KINDS:
        kind, rest = "models", text.removeprefix(SCHEME)
    match = _LOCATION.fullmatch(rest)
    if match is None:
        raise UsageError(_malformed(text))
    check_repository(match["repository"], text)
    revision, path = unquote(match["revision"] or ""), match["path"] or ""
    if ".." in (*revision.split("/"), *path.split("/")):
        raise UsageError(_malformed(text))
    return HubLocation(KINDS[kind], match["repository"], revision or None, path.strip("/"))


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
