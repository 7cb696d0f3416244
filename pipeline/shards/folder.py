"""Where a set's files are: `SetFolder`, and `LocalFolder` for a folder of this machine, which checks the files.

`RemoteFolder` in remote.py is for sets elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ..errors import DataError
from .layout import HIDDEN, SIDECAR_SUFFIX, TABLES, sidecar_path
from .manifest import Manifest, ShardEntry, read_manifest


class SetFolder(Protocol):
    """Gives the files of a set as files of this machine.

    Attributes:
        name: what errors call the set: its folder or URL.
        manifest: the set's manifest.
        max_open_files: how many tars a reader may hold open.
    """

    name: str
    manifest: Manifest
    max_open_files: int

    def tar(self, shard: ShardEntry) -> Path:
        """The path of a shard's tar."""

    def sidecar(self, shard: ShardEntry) -> Path:
        """The path of a shard's sidecar."""

    def tables(self) -> dict[str, Path]:
        """The paths of the side tables, by the tables' names."""

    def prefetch(self, shards: Iterable[ShardEntry]) -> None:
        """Begin to fetch the tars of these shards, if they are elsewhere. Returns at once."""


class LocalFolder:
    """A set in a folder of this machine.

    Raises:
        DataError: the folder holds no set, or the manifest is damaged, or tars or sidecars are missing, links, of
            another size than the manifest says, or not in the manifest.
    """

    max_open_files = 128  # ours: far below the usual limit of 1024 a process

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = str(directory)
        self.manifest = read_manifest(directory)
        self._check_files()

    def tar(self, shard: ShardEntry) -> Path:
        return self.directory / shard.name

    def sidecar(self, shard: ShardEntry) -> Path:
        return sidecar_path(self.directory, shard.name)

    def tables(self) -> dict[str, Path]:
        folder = self.directory / HIDDEN / TABLES
        return {path.stem: path for path in folder.glob("*" + SIDECAR_SUFFIX)} if folder.is_dir() else {}

    def prefetch(self, shards: Iterable[ShardEntry]) -> None:
        """Does nothing: everything is here."""

    def _check_files(self) -> None:
        """Check every file that the manifest lists, by reading each folder once."""
        tars = _sizes(self.directory, ".tar")
        sidecars = _sizes(self.directory / HIDDEN, SIDECAR_SUFFIX)
        for shard in self.manifest.shards:
            _check_size(self.tar(shard), tars.pop(shard.name, None), shard.size)
            sidecar = self.sidecar(shard)
            _check_size(sidecar, sidecars.pop(sidecar.name, None), shard.sidecar_size)
        if self.manifest.complete and tars:
            raise DataError(
                f"{self.directory / min(tars)} is not in the set's manifest: move it away, or run "
                f"`synthcl shards index {self.directory}` to add it"
            )


def open_plain(path: Path, size: int | None = None) -> int:
    """Open a plain file for reading and return its descriptor.

    Args:
        path: the file.
        size: the bytes that it must have; None for any number.

    Raises:
        DataError: the file is missing, a link, not a plain file, unreadable, or of another size.
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
    """The sizes of the plain files in a folder with that suffix; -1 for links and everything else that has it."""
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
        raise DataError(f"{path} is missing, though the set's manifest lists it")
    if found < 0:
        raise DataError(f"{path} is a link or not a plain file; a shard set keeps everything in its own folder")
    if found != expected:
        word = "cut short" if found < expected else "damaged"
        raise DataError(f"{path} is {word}: it has {found:,} bytes, and by the set's manifest {expected:,}")
