"""Reaching sets elsewhere, by URLs that fsspec opens: what is tried again, and what is told at once.

A request that fails for a passing reason (an error of the server, no answer in time, a lost connection) is made again
after pauses that grow. One that is refused is not: another try would not change that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import DataError, UsageError

PAUSES = (0.2, 0.8, 2.0, 5.0)
"""Seconds before each further try. Ours. The packages of single stores may try again themselves before that."""
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "http": "aiohttp", "https": "aiohttp"}
"""Of kinds of URLs, the package that they need."""

T = TypeVar("T")


def is_url(path: str | Path) -> bool:
    """Whether the path of a set is a URL."""
    return "://" in str(path)


def connect(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there.

    Raises:
        UsageError: fsspec does not know such URLs, or a package is missing.
    """
    import fsspec.core  # not for those who work with folders alone, such as encoder processes

    try:
        # Without listings in memory: what another process has written since must be seen.
        return fsspec.core.url_to_fs(url.rstrip("/"), use_listings_cache=False)
    except ImportError as error:
        package = PACKAGES.get(url.partition("://")[0])
        install = f"it needs the package {package}. Install it: pip install {package}" if package else error
        raise UsageError(f"cannot open {url}: {install}") from None
    except ValueError as error:
        raise UsageError(f"cannot open {url}: {error}") from None


def attempt(work: Callable[[], T], what: str) -> T:
    """Do some work; if the network fails, do it again after a pause.

    Args:
        work: what is done.
        what: it in words, for errors: `read s3://bucket/set/000000.tar`.

    Raises:
        FileNotFoundError: as `work` does.
        DataError: as `work` does; or access is refused; or it failed each time.
    """
    for pause in (*PAUSES, None):
        try:
            return work()
        except (DataError, FileNotFoundError):
            raise
        except Exception as error:  # each of fsspec's file systems has its own
            if is_refusal(error):
                raise DataError(
                    f"cannot {what}: access is refused ({_words(error)}); check the credentials and what they allow, "
                    "then run the same command again"
                ) from error
            if pause is None:
                raise DataError(
                    f"cannot {what}: {_words(error)}; it was tried {len(PAUSES) + 1} times. What is published is safe, "
                    "and the same command continues"
                ) from error
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def is_refusal(error: BaseException) -> bool:
    """Whether a store refuses access, or there are no credentials to ask with."""
    if isinstance(error, PermissionError) or "credential" in type(error).__name__.lower():
        return True
    return getattr(error, "status", getattr(error, "code", None)) in (401, 403)


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__} {text}" if text else type(error).__name__
