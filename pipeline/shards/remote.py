"""Sets elsewhere (`s3://`, `https://`, any URL that fsspec opens), read through a bounded cache of whole files.

The name of a cached file is the checksum that the set's manifest gives for it, and the file is checked against it
when it arrives. So sets share the files that they have in common, names from elsewhere never become names here, and
every file in the cache is whole. Tars that were used longest ago make room for new ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError, UsageError
from ..files import write_file
from ..runtime.capacity import CACHE_VARIABLE, default_cache
from ..runtime.capacity import cache_bytes as default_bytes
from .layout import HIDDEN, MANIFEST, SIDECAR_SUFFIX, TABLES, sidecar_name
from .manifest import MAX_MANIFEST_BYTES, ShardEntry, parse_manifest
from .network import T, attempt, connect, is_refusal
from .publish import disk_errors

_MAX_TABLE_BYTES = 1 << 30  # ours: the largest side table that is read
_BLOCK = 1 << 20
_DOWNLOADS = 4  # ours: how many files are fetched at once
_OPEN_FILES = 8  # ours: few, since a removed file still takes disk space while it is open


class RemoteReadableSet:
    """A set at a URL.

    Args:
        url: the URL of the set's folder.
        cache: the folder of cached files; None for `default_cache()`.
        cache_bytes: the most bytes that cached tars take. One tar is kept however large it is.

    Raises:
        UsageError: fsspec does not know such URLs.
        DataError: there is no set, or it cannot be reached.
    """

    remote = True
    max_open_files = _OPEN_FILES

    def __init__(self, url: str, cache: Path | None = None, cache_bytes: int | None = None) -> None:
        self.name = url
        self.cache = (cache or default_cache()) / "shards"
        self.cache_bytes = default_bytes() if cache_bytes is None else cache_bytes
        self._connect()
        self.manifest = parse_manifest(self._read(MANIFEST, MAX_MANIFEST_BYTES), f"{url}/{MANIFEST}")
        with disk_errors(self.cache):
            self.cache.mkdir(parents=True, exist_ok=True)

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_files", "_root", "_threads", "_wanted")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._connect()

    def _connect(self) -> None:
        self._files, self._root = connect(self.name)
        self._threads: list[threading.Thread] = []
        self._wanted: queue.Queue[ShardEntry] = queue.Queue()

    def tar(self, shard: ShardEntry) -> Path:
        return self._cached(shard.name, shard.size, shard.sha256, ".tar")

    def sidecar(self, shard: ShardEntry) -> Path:
        return self._cached(sidecar_name(shard.name), shard.sidecar_size, shard.sidecar_sha256, SIDECAR_SUFFIX)

    def tables(self) -> dict[str, Path]:
        """The side tables, as they are there now. None from a web server, or where listing is not allowed."""
        if self.name.startswith(("http://", "https://")):
            return {}
        folder, found = f"{HIDDEN}/{TABLES}", {}
        for name in self._list(folder):
            if name.endswith(SIDECAR_SUFFIX):
                data = self._read(f"{folder}/{name}", _MAX_TABLE_BYTES)
                path = self._path(hashlib.sha256(data).hexdigest(), SIDECAR_SUFFIX)
                if not _touch(path):
                    with disk_errors(self.cache):
                        write_file(path, data)
                found[name.removesuffix(SIDECAR_SUFFIX)] = path
        return found

    def prefetch(self, shards: Iterable[ShardEntry]) -> None:
        """Begin to fetch tars that will be needed, in threads. Returns at once."""
        if not self._threads:
            # Daemon threads, so that a process can end before they do. Executors of concurrent.futures are not.
            self._threads = [threading.Thread(target=self._fetch, name="fetch", daemon=True) for _ in range(_DOWNLOADS)]
            for thread in self._threads:
                thread.start()
        for shard in shards:
            self._wanted.put(shard)

    def _fetch(self) -> None:
        """Fetch wanted tars, as long as this process lives."""
        while True:
            shard = self._wanted.get()
            # An error comes again when the tar is read.
            with contextlib.suppress(DataError):
                if not self._path(shard.sha256, ".tar").exists():
                    self.tar(shard)
            self._wanted.task_done()

    def check_cache(self, num_shards: int) -> None:
        """Check that the cache can hold `num_shards` tars at once, so that they do not drive each other out.

        Raises:
            UsageError: it cannot hold the largest ones.
        """
        needed = sum(sorted((shard.size for shard in self.manifest.shards), reverse=True)[:num_shards])
        if needed > self.cache_bytes:
            raise UsageError(
                f"the cache of {self.cache_bytes:,} bytes ({CACHE_VARIABLE}) cannot hold {num_shards} shards of "
                f"{self.name}, which take {needed:,}: raise {CACHE_VARIABLE}, or give a lower --shards-per-window"
            )

    def _path(self, sha256: str, suffix: str) -> Path:
        return self.cache / (sha256 + suffix)

    def _cached(self, name: str, size: int, sha256: str, suffix: str) -> Path:
        path = self._path(sha256, suffix)
        if _touch(path):
            return path
        with disk_errors(self.cache), _open_temporary(self.cache / f".tmp-{sha256}") as file:
            if not _touch(path):
                if suffix == ".tar":
                    _make_room(self.cache, self.cache_bytes - size)
                try:
                    self._try(lambda: self._download(name, size, sha256, file), name)
                except BaseException:
                    file.truncate(0)  # not removed, since others may be waiting for it
                    raise
                os.replace(file.name, path)
        return path

    def _download(self, name: str, size: int, sha256: str, file: BinaryIO) -> None:
        digest, received = hashlib.sha256(), 0
        file.truncate(0)
        with self._files.open(f"{self._root}/{name}", "rb") as source:
            while received <= size and (block := source.read(_BLOCK)):
                file.write(block)
                digest.update(block)
                received += len(block)
        file.flush()
        if received != size or digest.hexdigest() != sha256:
            raise DataError(f"{self.name}/{name} is damaged: its size or checksum is not that of the set's manifest")

    def _read(self, name: str, limit: int) -> bytes:
        def read() -> bytes:
            with self._files.open(f"{self._root}/{name}", "rb") as source:
                return source.read(limit + 1)

        data = self._try(read, name)
        if len(data) > limit:
            raise DataError(f"{self.name}/{name} has more than the {limit:,} bytes that are read")
        return data

    def _list(self, folder: str) -> list[str]:
        """The names of what is in a folder of the set; nothing if there is none, or it may not be listed."""

        def names() -> list[str]:
            try:
                return [path.rpartition("/")[2] for path in self._files.ls(f"{self._root}/{folder}", detail=False)]
            except Exception as error:
                if is_refusal(error):
                    return []
                raise

        try:
            return attempt(names, f"list {self.name}/{folder}")
        except FileNotFoundError:
            return []

    def _try(self, work: Callable[[], T], name: str) -> T:
        """Do some work; if the network fails, do it again after a pause."""
        try:
            return attempt(work, f"read {self.name}/{name}")
        except FileNotFoundError:
            raise DataError(f"{self.name}/{name} is missing, or cannot be reached") from None


@contextlib.contextmanager
def _open_temporary(path: Path) -> Iterator[BinaryIO]:
    """A file to fetch into; others who want the same one wait for it.

    On a file system without locks it is this caller's alone: several may fetch the same, and each checks what it got.
    """
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        else:
            yield file
            return
    own = path.with_name(f"{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with open(own, "ab") as file:
            yield file
    finally:
        own.unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    """Whether the file exists. If it does, it counts as just used."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _make_room(cache: Path, allowed: int) -> None:
    """Remove the tars that were used longest ago, until the others take at most `allowed` bytes."""
    found = []
    for path in cache.glob("*.tar"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue  # another process made room
        found.append((facts.st_mtime_ns, facts.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= allowed:
            return
        path.unlink(missing_ok=True)
        total -= size
