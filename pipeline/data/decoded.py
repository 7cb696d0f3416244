"""Decoded images in a file that is mapped into memory: decoded once for all processes of a machine, and all runs.

CACHE/decoded/
    NAME.u8       the pixels, N x 3 x S x S bytes, then a JSON footer, its length in 8 bytes and 8 bytes of MAGIC
    NAME.lock     held while one process decodes; the others wait

NAME follows from the images' fingerprint, from the sizes and times of the files they are in and from what decodes them:
where any of these changes, it is another file. The one before stays, since an environment of other versions may share
the folder, until room is needed: then what was not used for longest goes first. A file is written under a temporary
name, its footer last, and renamed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import TEMPORARY
from ..progress.line import Progress
from ..runtime.capacity import CACHE_VARIABLE, cache_bytes, default_cache
from ..runtime.environment import version_of
from .store import ImageStore

log = logging.getLogger(__name__)

MAGIC = b"synthcl1"
DECODERS = ("torch", "torchvision", "pillow", "simplejpeg", "deflate")
"""What an image's pixels may depend on besides its file."""
CHUNK = 1024  # images decoded at a time: enough for all threads, little memory
WAIT_SECONDS = 0.5  # between looks at a lock; ours
_TAIL = 8 + len(MAGIC)


def decoded_folder() -> Path:
    """Where the files are: below SYNTHCL_CACHE, or the user's cache folder."""
    return default_cache() / "decoded"


def num_bytes(store: ImageStore) -> int:
    """How many bytes the decoded images of a store take."""
    return len(store) * 3 * store.image_size**2


def file_name(store: ImageStore) -> str | None:
    """The name that a store's decoded images have; None if it does not tell the files they come from."""
    facts = store.file_facts()
    if not facts:
        return None
    digest = hashlib.blake2b(store.fingerprint().encode(), digest_size=16)
    digest.update(json.dumps([version_of(name) for name in DECODERS]).encode())
    digest.update(json.dumps(facts).encode())
    return f"{digest.hexdigest()}-{store.image_size}.u8"


def map_decoded(store: ImageStore, folder: Path | None = None) -> Tensor | None:
    """A store's images (N, 3, S, S) uint8, mapped from a file, which is written first where there is none.

    What is written to the tensor stays in this process.

    Args:
        store: the images.
        folder: of the files; `decoded_folder()` if not given.

    Returns:
        None where no such file can be had; the reason is logged, in a sentence.

    Raises:
        DataError: an image that cannot be decoded.
    """
    folder = folder or decoded_folder()
    name = file_name(store)
    if name is None:
        log.warning(
            "%s has no files here whose sizes and times would tell of a change: its images are not kept in a file",
            store.name,
        )  # fmt: skip
        return None
    path = folder / name
    if num_bytes(store) > cache_bytes():
        log.warning(
            "%s takes %d bytes decoded, more than the %d of %s: its images are not kept in a file",
            store.name, num_bytes(store), cache_bytes(), CACHE_VARIABLE,
        )  # fmt: skip
        return None
    try:
        if (images := _open(path, store)) is not None:
            return images
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock"), f"decode {store.name}"):
            # Another process may have written it meanwhile.
            images = _open(path, store)
            if images is None:
                _write(path, store)
                images = _open(path, store)
    except OSError as error:
        log.warning(
            "the decoded images of %s cannot be kept in %s (%s): each process decodes them for itself",
            store.name, folder, error.strerror or error,
        )  # fmt: skip
        return None
    return images


def _open(path: Path, store: ImageStore) -> Tensor | None:
    """The images of a whole file; None where there is none, or one that is damaged, which is removed."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            wrong = _damage(file.fileno(), size, store)
    except FileNotFoundError:
        return None
    if wrong is not None:
        log.warning("%s is damaged (%s): its images are decoded again", path, wrong)
        path.unlink(missing_ok=True)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # what is used stays longest
    shape = (len(store), 3, store.image_size, store.image_size)
    # Copy on write: torch has no tensors that cannot be written to.
    return torch.from_numpy(np.memmap(path, np.uint8, mode="c", shape=shape))


def _damage(descriptor: int, size: int, store: ImageStore) -> str | None:
    """What is wrong with a file, if anything."""
    pixels, tail = num_bytes(store), os.pread(descriptor, _TAIL, max(0, size - _TAIL))
    length = int.from_bytes(tail[:8], "little")
    if tail[8:] != MAGIC or size != pixels + length + _TAIL:
        return f"it has {size} bytes"
    try:
        sums = json.loads(os.pread(descriptor, length, pixels))["crc32"]
    except (ValueError, KeyError, TypeError):
        return "its footer cannot be read"
    for number, expected in enumerate(sums):
        start = number * _chunk_bytes(store)
        block = os.pread(descriptor, min(_chunk_bytes(store), pixels - start), start)
        if zlib.crc32(block) != expected:
            return f"images {number * CHUNK} to {min((number + 1) * CHUNK, len(store)) - 1} are not what was written"
    return None if len(sums) == -(-len(store) // CHUNK) else "its footer is of other images"


def _chunk_bytes(store: ImageStore) -> int:
    return CHUNK * 3 * store.image_size**2


def _write(path: Path, store: ImageStore) -> None:
    for left in path.parent.glob(f"{TEMPORARY}{path.name}-*"):
        left.unlink(missing_ok=True)  # of a process that was killed: whoever writes this name holds the lock
    _remove_others_leftovers(path.parent)
    _make_room(path.parent, num_bytes(store))
    temporary = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}"
    try:
        with open(temporary, "wb") as file, Progress(f"decode {store.name}", len(store), "images") as progress:
            _reserve(file.fileno(), num_bytes(store))
            sums = []
            for start in range(0, len(store), CHUNK):
                stop = min(start + CHUNK, len(store))
                block = store.read(np.arange(start, stop)).cpu().contiguous().numpy().tobytes()
                sums.append(zlib.crc32(block))
                file.write(block)
                progress.update(stop)
            footer = json.dumps({"crc32": sums, "name": store.name, "shape": [len(store), 3, store.image_size]})
            data = footer.encode()
            file.write(data + len(data).to_bytes(8, "little") + MAGIC)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _reserve(descriptor: int, size: int) -> None:
    """Take the disk space before the work, so that a full disk is known at once."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        # A file system that does not know how: a full disk is then found out as it fills.


def _remove_others_leftovers(folder: Path) -> None:
    """Remove what killed processes have left of files that may never be written again, which the bound cannot see."""
    for left in folder.glob(f"{TEMPORARY}*.u8-*"):
        name = left.name.removeprefix(TEMPORARY).rpartition("-")[0]
        with contextlib.suppress(OSError), open((folder / name).with_suffix(".lock"), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error where a process is at it, or locks are unknown
            left.unlink(missing_ok=True)


def _make_room(folder: Path, size: int) -> None:
    """Remove the files that were not used for longest until `size` more bytes are within the bound."""
    files = sorted(((f.stat(), f) for f in folder.glob("*.u8") if f.is_file()), key=lambda each: each[0].st_mtime)
    taken = sum(facts.st_size for facts, _ in files)
    for facts, file in files:
        if taken + size <= cache_bytes():
            return
        file.unlink(missing_ok=True)  # who has mapped it keeps it until then
        taken -= facts.st_size


@contextlib.contextmanager
def _locked(path: Path, label: str) -> Iterator[None]:
    """One process at a time; the others wait, and say so."""
    with open(path, "a") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    log.warning("%s: another process is at it; waiting for its file in %s", label, path.parent)
                    told = True
                time.sleep(WAIT_SECONDS)
            except OSError as error:
                # Two that write at once write the same, each under a name of its own.
                log.warning("%s cannot be locked (%s): processes may decode the same images", path, error.strerror)
                break
        yield
