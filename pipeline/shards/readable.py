"""Sets to read: `ReadableSet` gives a set's files as files of this machine, `LocalReadableSet` those of a folder here.

`RemoteReadableSet` in remote.py is for sets elsewhere. What writes and checks sets is in writable.py.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ..errors import DataError
from .layout import HIDDEN, SIDECAR_SUFFIX, TABLES, sidecar_name, sidecar_path
from .manifest import Manifest, ShardEntry, read_manifest
from .writable import LocalWritableSet, WritableSet


class ReadableSet(Protocol):
    """Gives the files of a set as files of this machine.

    Attributes:
        name: what errors call the set: its folder or URL.
        manifest: the set's manifest.
        remote: whether the set is elsewhere, so that its files are fetched one by one.
        max_open_files: how many tars a reader may hold open.
    """

    name: str
    remote: bool
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

    def check_cache(self, num_shards: int) -> None:
        """Raises UsageError if tars are fetched to a cache that cannot hold any `num_shards` of them at once."""


class LocalReadableSet:
    """A set in a folder of this machine.

    Raises:
        DataError: the folder holds no set, or the manifest is damaged, or tars or sidecars are missing, links, of
            another size than the manifest says, or not in the manifest.
    """

    remote = False
    max_open_files = 128  # ours: far below the usual limit of 1024 a process

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = str(directory)
        files = LocalWritableSet(directory)
        self.manifest = read_manifest(files)
        check_files(files, self.manifest, no_others=self.manifest.complete)

    def tar(self, shard: ShardEntry) -> Path:
        return self.directory / shard.name

    def sidecar(self, shard: ShardEntry) -> Path:
        return sidecar_path(self.directory, shard.name)

    def tables(self) -> dict[str, Path]:
        folder = self.directory / HIDDEN / TABLES
        return {path.stem: path for path in folder.glob("*" + SIDECAR_SUFFIX)} if folder.is_dir() else {}

    def prefetch(self, shards: Iterable[ShardEntry]) -> None:
        """Does nothing: everything is here."""

    def check_cache(self, num_shards: int) -> None:
        """Does nothing: nothing is fetched."""


def check_files(files: WritableSet, found: Manifest, *, no_others: bool = False) -> None:
    """Check that every file that a manifest lists is there and has the size that it says; each folder is read once.

    Args:
        files: the set's files.
        found: the manifest.
        no_others: whether tars that it does not list are refused.

    Raises:
        DataError: a tar or a sidecar is missing, a link, or of another size, or there is another tar.
    """
    tars, sidecars = files.sizes(), files.sizes(HIDDEN)
    for shard in found.shards:
        sidecar = sidecar_name(shard.name)
        sizes = ((shard.name, tars.pop(shard.name, None), shard.size),
                 (sidecar, sidecars.get(sidecar.removeprefix(f"{HIDDEN}/")), shard.sidecar_size))  # fmt: skip
        for name, size, expected in sizes:
            if (wrong := _wrong_size(size, expected)) is not None:
                raise DataError(
                    f"{files.place(name)} {wrong}; `synthcl shards verify {files.path}` lists what is damaged"
                )
    others = [name for name in tars if name.endswith(".tar")]
    if no_others and others:
        add = f", or run `synthcl shards index {files.path}` to add it" if found.kind == "adopted" else ""
        raise DataError(f"{files.place(min(others))} is not in the set's manifest: move it away{add}")


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
    held = found.st_size if stat.S_ISREG(found.st_mode) else -1
    if (wrong := _wrong_size(held, held if size is None else size)) is not None:
        os.close(descriptor)
        raise DataError(f"{path} {wrong}")
    return descriptor


def _wrong_size(found: int | None, expected: int) -> str | None:
    """What is wrong with a file of so many bytes (None: it is not there; below 0: it is no plain file), if anything."""
    if found is None:
        return "is missing, though the set's manifest lists it"
    if found < 0:
        return "is a link or not a plain file; a shard set keeps everything in its own folder"
    if found != expected:
        word = "cut short" if found < expected else "damaged"
        return f"is {word}: it has {found:,} bytes, and by the set's manifest {expected:,}"
    return None
