"""Sets in an object store (`s3://BUCKET/SET`, any URL that fsspec writes): shards are built here, then uploaded.

A shard is written to a spool folder of this machine as it is to a set's own folder elsewhere: flushed, read back and
compared. Then it is uploaded, and its sidecar after it. Each upload asks the store to take it only if nothing has that
name (`If-None-Match`), where the store can; in any case this looks before. Afterwards what the store says of the object
is compared with what was sent: its size and, where its ETag is the MD5 of its bytes, that; otherwise the object is read
back. An upload that arrived cut short is sent again, by this process or by the next.

There are no locks in an object store. The lock of a part is in the spool folder, and keeps a second process of this
machine away. Two machines that write one part do twice the work, and come to the same bytes.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import inspect
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..files import file_sha256
from ..hub.locations import is_hub_location
from ..runtime.capacity import default_cache
from .layout import HIDDEN, MANIFEST, SIDECAR_SUFFIX
from .network import attempt, connect
from .publish import PartLock, TemporaryFile, disk_errors, remove_leftovers

_ENDS = {SIDECAR_SUFFIX: b"PAR1", ".json": b"\n}\n"}
"""How whole files of the hidden folder end. One that does not is an upload that was cut, and counts as missing."""
_BLOCK = 1 << 20


class RemoteWritableSet:
    """The files of a set at a URL; see `WritableSet`.

    Raises:
        UsageError: fsspec does not know such URLs, a package is missing, or the URL is that of a web server or of the
            hub.
    """

    at_once = 16  # ours: reading a sidecar is waiting for an answer

    def __init__(self, url: str) -> None:
        self.path = url.rstrip("/")
        if url.startswith(("http://", "https://")):
            raise UsageError(
                f"{url}: a set on a web server can be trained on, and neither written, listed, verified nor scored; "
                "give s3://BUCKET/SET or another URL of an object store, or a copy of the set"
            )
        if is_hub_location(url):
            raise UsageError(
                f"{url}: a set on the hub can be trained on, and is put there by `synthcl shards push`; write, verify "
                "and score it in a folder"
            )
        self._store, self._root = connect(self.path)
        self._spool = default_cache() / "spool" / hashlib.sha256(self.path.encode()).hexdigest()[:16]
        self._conditional = "mode" in inspect.signature(self._store.put_file).parameters

    def place(self, name: str) -> str:
        return f"{self.path}/{name}"

    def make_folder(self) -> None:
        """Make the spool folder. An object store has no folders, and a bucket that is missing is not made."""
        with disk_errors(self._spool):
            (self._spool / HIDDEN).mkdir(parents=True, exist_ok=True)

    def part(self, index: int = 0, count: int = 1) -> PartLock:
        self.make_folder()
        return PartLock(self._spool, index, count, name=self.path)

    def entries(self) -> list[str]:
        return [name for name in self._list("") if name != HIDDEN]

    def sizes(self, folder: str = "") -> dict[str, int]:
        return {name: facts["size"] for name, facts in self._list(folder).items() if facts["type"] == "file"}

    def size(self, name: str) -> int | None:
        facts = self._info(name)
        return None if facts is None else facts["size"]

    def read(self, name: str, limit: int | None = None) -> bytes | None:
        if limit is not None and (size := self.size(name) or 0) > limit:
            raise DataError(f"{self.place(name)} has {size:,} bytes, more than the {limit:,} that are read")
        try:
            data = attempt(lambda: self._store.cat_file(f"{self._root}/{name}"), f"read {self.place(name)}")
        except FileNotFoundError:
            return None
        return data if data.endswith(_ENDS[Path(name).suffix]) else None

    def publish(self, file: TemporaryFile, name: str, *, replace: bool = False) -> None:
        sent = False

        def upload() -> None:
            nonlocal sent
            held = self._held(name, file)
            if held == "other" and not (replace or sent):
                raise DataError(
                    f"{self.place(name)} is there already, and holds something else than it should: move it away, then "
                    "run the same command again"
                )
            if held != "whole":  # the answer to an upload that arrived may have been lost
                self._put(file.path, name, absent=held is None)
                sent = True
                if self._held(name, file) != "whole":
                    raise OSError(f"the store does not hold the {file.size:,} bytes that were sent")

        attempt(upload, f"write {self.place(name)}")

    def remove_leftovers(self) -> None:
        if self._spool.exists():
            remove_leftovers(self._spool)

    @contextmanager
    def here(self, names: Iterable[str]) -> Iterator[Path]:
        self.make_folder()
        with disk_errors(self._spool), tempfile.TemporaryDirectory(dir=self._spool) as folder:
            for name in names:
                target = Path(folder, name)
                target.parent.mkdir(exist_ok=True)
                try:
                    self._get(name, target)
                except FileNotFoundError:
                    target.unlink(missing_ok=True)
            yield Path(folder)

    def _list(self, folder: str) -> dict[str, dict[str, Any]]:
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            found = attempt(lambda: self._store.ls(path, detail=True), f"list {self.place(folder).rstrip('/')}")
        except FileNotFoundError:
            return {}
        # Some stores list an object of no bytes that stands for the folder itself.
        return {name: one for one in found if (name := _last(one["name"])) and one["name"].rstrip("/") != path}

    def _info(self, name: str) -> dict[str, Any] | None:
        try:
            facts = attempt(lambda: self._store.info(f"{self._root}/{name}"), f"look at {self.place(name)}")
        except FileNotFoundError:
            return None
        return facts if facts["type"] == "file" else None

    def _get(self, name: str, target: Path) -> None:
        attempt(lambda: self._store.get_file(f"{self._root}/{name}", str(target)), f"read {self.place(name)}")

    def _put(self, source: Path, name: str, *, absent: bool) -> None:
        """Upload a file; where the store can, only if it still has none of that name."""
        condition = {"mode": "create"} if absent and self._conditional else {}
        try:
            self._store.put_file(str(source), f"{self._root}/{name}", **condition)
        except FileNotFoundError as error:
            raise DataError(f"cannot write {self.place(name)}: {error}; make the bucket first") from error
        except OSError as error:
            if not condition or error.errno != errno.ENOSYS:
                raise
            self._conditional = False  # the store knows no conditions
            self._put(source, name, absent=absent)

    def _held(self, name: str, file: TemporaryFile) -> str | None:
        """What the store has of that name: nothing (None), the file (`whole`), its beginning (`cut`), or something
        else (`other`).

        Raises:
            OSError: it has the file, and says that it has another number of bytes.
        """
        facts = self._info(name)
        if facts is None:
            return None
        if facts["size"] == file.size and _md5_of(facts) == _md5(file.path):
            return "whole"
        back = file.path.with_name(file.path.name + "-back")  # a name that the next holder of the lock removes
        try:
            self._get(name, back)
            if file_sha256(back) != file.sha256:
                return "cut" if _begins(file.path, back) else "other"
        except FileNotFoundError:
            return None
        finally:
            back.unlink(missing_ok=True)
        if facts["size"] != file.size:
            raise OSError(f"the store says that it has {facts['size']:,} bytes of {file.size:,}, and it has all")
        return "whole"


def find_sets(url: str) -> list[str]:
    """The sorted URLs at or below `url` that hold a set.

    Raises:
        DataError: there is nothing at the URL, or it cannot be reached.
    """
    files = RemoteWritableSet(url)
    store, root = files._store, files._root

    def walk() -> list[str]:
        found = []
        for path, folders, _ in store.walk(root, on_error="raise"):
            below = path.rstrip("/").removeprefix(root).lstrip("/")
            if HIDDEN in folders and files.size(f"{below}/{MANIFEST}".lstrip("/")) is not None:
                found.append(f"{files.path}/{below}".rstrip("/"))
                folders.clear()  # a set has no sets inside
            folders[:] = [name for name in folders if not name.startswith(".")]
        return found

    try:
        return sorted(attempt(walk, f"list {url}"))
    except FileNotFoundError:
        raise DataError(f"there is nothing at {url}") from None


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _md5_of(facts: dict[str, Any]) -> str | None:
    """The MD5 of an object by what the store says of it, in hexadecimal, if it says so. An ETag is something else for
    objects that were uploaded in parts or are encrypted."""
    if "md5Hash" in facts:  # Google's
        return base64.b64decode(facts["md5Hash"]).hex()
    return str(facts.get("ETag", "")).strip('"') or None


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _begins(whole: Path, part: Path) -> bool:
    """Whether a file is shorter than another and holds what that one begins with."""
    if part.stat().st_size >= whole.stat().st_size:
        return False
    with open(whole, "rb") as one, open(part, "rb") as other:
        while block := other.read(_BLOCK):
            if one.read(len(block)) != block:
                return False
    return True
