"""Sets to write and to check: `WritableSet` knows their files by their names there (`000000.tar`,
`.synthcl/000000.parquet`).

`LocalWritableSet` is a folder of this machine or of a file system that several machines share, `RemoteWritableSet` in
object_store.py the same at a URL. What counts as published is the same for both: a shard with a sidecar that fits it.
What reads sets is in readable.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import DataError
from .layout import HIDDEN
from .network import is_url
from .publish import PartLock, TemporaryFile, disk_errors, remove_leftovers

S = TypeVar("S")
T = TypeVar("T")


class WritableSet(Protocol):
    """The files of a set that is written or checked.

    Attributes:
        at_once: how many files are best read at once.
    """

    at_once: int

    @property
    def path(self) -> Path | str:
        """The set's folder or URL."""

    def place(self, name: str) -> Path | str:
        """The path or URL of a file."""

    def make_folder(self) -> None:
        """Make the folders of the set, where they are missing."""

    def part(self, index: int = 0, count: int = 1) -> PartLock:
        """The right to write a part of the set, which also names temporary files."""

    def entries(self) -> list[str]:
        """The names of all that lies beside the hidden folder.

        Raises:
            DataError: the place is that of a file.
        """

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The bytes of the files in a folder of the set, by their names there; -1 for links."""

    def size(self, name: str) -> int | None:
        """The bytes of a file; None if it is not there."""

    def read(self, name: str, limit: int | None = None) -> bytes | None:
        """A file of the hidden folder; None if it is not there.

        Raises:
            DataError: it is a link, has more bytes than `limit`, or cannot be read.
        """

    def publish(self, file: TemporaryFile, name: str, *, replace: bool = False) -> None:
        """Give a finished file its name, whole or not at all.

        Raises:
            DataError: another file has that name, and is not to be replaced.
        """

    def remove_leftovers(self) -> None:
        """Remove what writers that were killed have left."""

    def here(self, names: Iterable[str]) -> AbstractContextManager[Path]:
        """A folder of this machine that has these files as they are there, as far as they are there."""


class LocalWritableSet:
    """The files of a set in a folder; see `WritableSet`."""

    at_once = 1

    def __init__(self, path: Path) -> None:
        self.path = path

    def place(self, name: str) -> Path:
        return self.path / name

    def make_folder(self) -> None:
        with disk_errors(self.path):
            (self.path / HIDDEN).mkdir(parents=True, exist_ok=True)

    def part(self, index: int = 0, count: int = 1) -> PartLock:
        return PartLock(self.path, index, count)

    def entries(self) -> list[str]:
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"--out {self.path} is a file; give a folder")
        return [name for name in os.listdir(self.path) if name != HIDDEN] if self.path.exists() else []

    def sizes(self, folder: str = "") -> dict[str, int]:
        sizes: dict[str, int] = {}
        try:
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # writers remove their temporary files meanwhile
                        if entry.is_symlink():
                            sizes[entry.name] = -1
                        elif entry.is_file():
                            sizes[entry.name] = entry.stat().st_size
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DataError(f"cannot read {self.path / folder}: {error.strerror}") from None
        return sizes

    def size(self, name: str) -> int | None:
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str, limit: int | None = None) -> bytes | None:
        path = self.path / name
        if path.is_symlink() or path.parent.is_symlink():
            raise DataError(f"{path} is a link; a shard set keeps everything in its own folder")
        try:
            size = path.stat().st_size
            if limit is not None and size > limit:
                raise DataError(f"{path} has {size:,} bytes, more than the {limit:,} that are read")
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None

    def publish(self, file: TemporaryFile, name: str, *, replace: bool = False) -> None:
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        file.publish(target, replace=replace)

    def remove_leftovers(self) -> None:
        remove_leftovers(self.path)

    @contextmanager
    def here(self, names: Iterable[str]) -> Iterator[Path]:
        yield self.path


def open_writable(path: str | Path) -> WritableSet:
    """The files of a set at a path or URL.

    Raises:
        UsageError: a URL that fsspec does not know, or where sets can only be read.
    """
    kind, _, rest = str(path).partition("://")
    if not is_url(path):
        return LocalWritableSet(Path(path))
    if kind in ("file", "local"):
        return LocalWritableSet(Path(rest))
    from .object_store import RemoteWritableSet

    return RemoteWritableSet(str(path))


def for_each(files: WritableSet, work: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """`work` of each item, in order; of several at once where each waits for the network."""
    if files.at_once == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(files.at_once) as pool:
        return list(pool.map(work, items))
