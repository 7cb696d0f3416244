"""What goes wrong between here and the Hugging Face hub, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import DataError

_REFUSED = (401, 403)


@contextmanager
def hub_errors(what: str, name: str) -> Iterator[None]:
    """Has what the hub, or the way to it, answers be a sentence.

    Args:
        what: what cannot be done, such as "cannot push to".
        name: of the repository or location.

    Raises:
        DataError: it failed.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # of the hub's client, of its HTTP library and of its uploader alike
        raise DataError(f"{what} {name}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The cause, and what to do."""
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, GatedRepoError):
            return f"its owner must let you in first; ask at {constants.ENDPOINT}, then give your token (HF_TOKEN)"
        if isinstance(cause, RepositoryNotFoundError):
            return "there is no such repository, or it is private and no token that may see it is given (HF_TOKEN)"
        if isinstance(cause, RevisionNotFoundError):
            return "there is no such branch, tag or commit in it"
        if isinstance(cause, EntryNotFoundError) and not isinstance(cause, LocalEntryNotFoundError):
            return f"there is no such file in it ({_line(cause)})"
        if isinstance(cause, HfHubHTTPError) and _status(cause) in _REFUSED:
            return (
                f"the hub refuses the token ({_status(cause)}); give one that may do this, in HF_TOKEN or by "
                "`hf auth login`"
            )
        if isinstance(cause, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set, and what is needed is not in the cache here"
    started = f" ({type(causes[-1]).__name__}: {_line(causes[-1])})" if len(causes) > 1 else ""
    return f"{_lines(error)}{started}; check that, the network and {constants.ENDPOINT}, and try again"


def _status(error: HfHubHTTPError) -> int | None:
    return getattr(error.response, "status_code", None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what started it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _lines(error: BaseException) -> str:
    """All that the hub's client says, in one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line).rstrip(".") or type(error).__name__


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
