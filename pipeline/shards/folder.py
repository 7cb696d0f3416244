"""Where a set's files are: `SetFolder`, and its form for a folder of this machine. (The remote one is in remote.py.)"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ..errors import DataError
from .layout import HIDDEN, SIDECAR_SUFFIX, TABLES, sidecar_path
from .setfile import SetFile, ShardEntry, read_set_file


class SetFolder(Protocol):
    """Gives the files of a set as files of this machine."""

    name: str
    content: SetFile
    max_open_files: int

    def tar(self, shard: ShardEntry) -> Path:
        """The tar of a shard."""

    def sidecar(self, shard: ShardEntry) -> Path:
        """The sidecar of a shard."""

    def tables(self) -> dict[str, Path]:
        """The side tables, by name."""

    def prefetch(self, shards: Iterable[ShardEntry]) -> None:
        """Begin to bring the tars of these shards here, if they are elsewhere."""


class LocalFolder:
    """A set in a folder of this machine.

    Raises:
        DataError: no set, an index that is damaged, or tars or sidecars that are missing, of another size, links, or
            not in the index.
    """

    max_open_files = 128  # ours: far below the usual limit of 1024 for a process

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = str(directory)
        self.content = read_set_file(directory)
        self._check_files()

    def tar(self, shard: ShardEntry) -> Path:
        return self.directory / shard.name

    def sidecar(self, shard: ShardEntry) -> Path:
        return sidecar_path(self.directory, shard.name)

    def tables(self) -> dict[str, Path]:
        folder = self.directory / HIDDEN / TABLES
        return {path.stem: path for path in folder.glob("*" + SIDECAR_SUFFIX)} if folder.is_dir() else {}

    def prefetch(self, shards: Iterable[ShardEntry]) -> None:
        """Nothing: everything is here."""

    def _check_files(self) -> None:
        """Every file of the index, by one look at each folder."""
        tars = _sizes(self.directory, ".tar")
        sidecars = _sizes(self.directory / HIDDEN, SIDECAR_SUFFIX)
        for shard in self.content.shards:
            _check_size(self.tar(shard), tars.pop(shard.name, None), shard.size)
            sidecar = self.sidecar(shard)
            _check_size(sidecar, sidecars.pop(sidecar.name, None), shard.sidecar_size)
        if self.content.complete and tars:
            raise DataError(
                f"{self.directory / min(tars)} is not in the set's index: move it away, or run `synthcl shards index "
                f"{self.directory}` to take it in"
            )


def open_plain(path: Path, size: int | None = None) -> int:
    """A descriptor of a plain file, to read from; of that size if one is given.

    Raises:
        DataError: it is missing, a link, no file, unreadable or of another size.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    found = os.fstat(descriptor)
    plain = stat.S_ISREG(found.st_mode)
    if not plain or size not in (None, found.st_size):
        os.close(descriptor)
        _check_size(path, found.st_size if plain else -1, size or 0)
    return descriptor


def _sizes(directory: Path, suffix: str) -> dict[str, int]:
    """Sizes of the plain files in a folder with that suffix; -1 for links and whatever else is called so."""
    sizes = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(suffix):
                    plain = entry.is_file(follow_symlinks=False)
                    sizes[entry.name] = entry.stat(follow_symlinks=False).st_size if plain else -1
    except OSError as error:
        raise DataError(f"cannot read {directory}: {error.strerror}") from None
    return sizes


def _check_size(path: Path, found: int | None, expected: int) -> None:
    if found is None:
        raise DataError(f"{path} is missing, though it is in the set's index")
    if found < 0:
        raise DataError(f"{path} is a link or no file; a shard set keeps everything in its own folder")
    if found != expected:
        word = "cut short" if found < expected else "damaged"
        raise DataError(f"{path} is {word}: it has {found:,} bytes, and {expected:,} by the set's index")
