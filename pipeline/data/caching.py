"""Decoded images kept in RAM or on the device, so that no image is decoded twice in a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ...learners.collectives import rank
from ..errors import UsageError
from ..progress.line import Progress
from ..runtime.capacity import available_ram, cache_bytes
from .cache_modes import CACHE_MODES
from .decoded import file_name, map_decoded, num_bytes
from .memory import MemoryStore
from .store import ImageStore, Indices, WrappedStore

DEVICE_FRACTION = 0.25
"""The part of the device's free memory that `auto` gives to images; the rest is for models and activations. Ours."""

RAM_FRACTION = 0.5
"""The part of the free RAM that `auto` gives to images. Ours."""

FILE_BYTES = 256 << 20
"""From how many bytes on decoded images are kept in a file for other processes and runs, but where `--cache disk` asks
for it: fewer are decoded in seconds. Ours."""

_CHUNK = 1024  # images decoded at a time: enough for all threads, little memory beside the cache itself


_shared: dict[tuple[str, str, torch.device], CachedStore] | None = None


@contextmanager
def shared_cache() -> Iterator[None]:
    """Meanwhile `cached` gives runs of the same images one store, so that they are decoded once for all of them."""
    global _shared
    before, _shared = _shared, {} if _shared is None else _shared
    try:
        yield
    finally:
        _shared = before


class _SameImages(WrappedStore):
    """The very images of another store, pixel for pixel."""

    def fingerprint(self) -> str:
        return self._store.fingerprint()

    def origin(self) -> tuple[str, np.ndarray]:
        return self._store.origin()


class CachedStore(_SameImages, MemoryStore):
    """The images of another store, decoded all together when the first is read. The rest is the other store's.

    So what reads the images can be built, and everything be checked, before the long work begins.
    """

    def __init__(self, store: ImageStore, images: Tensor, *, in_file: bool = False) -> None:
        _SameImages.__init__(self, store)
        MemoryStore.__init__(self, images, store.name, store.labels, store.class_names)
        self._in_file, self._decoded, self._lock = in_file, False, threading.Lock()

    def read(self, indices: Indices) -> Tensor:
        if not self._decoded:
            with self._lock:  # images are read ahead in a thread
                if not self._decoded:
                    self._decode()
        return super().read(indices)

    def _decode(self) -> None:
        mapped = map_decoded(self._store) if self._in_file else None
        if mapped is None:
            self._decode_here()
        elif self.images.device == mapped.device:
            self.images = mapped  # and what was set aside for them was never touched, so took no memory
        else:
            for start in range(0, len(self), _CHUNK):
                self.images[start : start + _CHUNK] = mapped[start : start + _CHUNK]
        self._store.release()
        self._decoded = True

    def _decode_here(self) -> None:
        with Progress(f"decode {self.name}", len(self), "images", enabled=rank() == 0) as progress:
            for start in range(0, len(self), _CHUNK):
                stop = min(start + _CHUNK, len(self))
                self.images[start:stop] = self._store.read(np.arange(start, stop))
                progress.update(stop)


class MappedStore(_SameImages):
    """The images of another store, from a file of decoded ones; from the store itself where there can be no file.

    For images that do not fit into memory. The file is written when the first image is read.
    """

    def __init__(self, store: ImageStore) -> None:
        super().__init__(store)
        self._mapped: ImageStore | None = None
        self._lock = threading.Lock()

    def read(self, indices: Indices) -> Tensor:
        with self._lock:
            if self._mapped is None:
                images = map_decoded(self._store)
                self._mapped = self._store if images is None else MemoryStore(images, self.name)
                if images is not None:
                    self._store.release()
        return self._mapped.read(indices)


def cached(
    store: ImageStore, mode: str = "auto", device: torch.device | str = "cpu", beside: ImageStore | None = None
) -> ImageStore:
    """A store that reads the same images from memory. Decoding shows its progress, in the process that decodes.

    Sets of `FILE_BYTES` or more come from a file of decoded images that all processes and runs share (see `decoded`),
    but for the mode `ram`.

    Args:
        store: what to decode, once, when the first image is read.
        mode: `device` and `ram` keep all images there; `disk` maps the file of decoded images, which the system keeps
            in its free memory; `none` gives `store` back as it is; `auto` is `device` on an accelerator if the images
            take at most `DEVICE_FRACTION` of its free memory, else `ram` if they take at most `RAM_FRACTION` of the
            free RAM, else `disk` if they have a file or may have one, else `none`.
        device: the device of training. On the CPU, `device` and `ram` are the same.
        beside: another store of the run, which may yet take the RAM that its images have been given.

    Returns:
        A store whose `read` gives tensors on the CPU (`ram`, `disk`, `none`) or on `device` (`device`).

    Raises:
        UsageError: an unknown mode, or images that do not fit where the mode wants them.
    """
    if mode not in CACHE_MODES:
        raise UsageError(f"--cache {mode!r} is unknown: choose one of {', '.join(CACHE_MODES)}")
    if mode == "none" or (isinstance(store, MemoryStore) and mode == "disk"):
        return store
    # Memory that is set aside is free until it is written to.
    promised = num_bytes(beside) if isinstance(beside, MemoryStore) and not beside.images.is_cuda else 0
    target = _target(mode, torch.device(device), num_bytes(store), promised)
    if isinstance(store, MemoryStore) and (target is None or store.images.device == target):
        return store
    if target is None:
        return MappedStore(store) if mode == "disk" or _fits_file(store) else store
    in_file = mode != "ram" and num_bytes(store) >= FILE_BYTES and _fits_file(store)
    if _shared is None:
        return CachedStore(store, _room(store, mode, target), in_file=in_file)
    place = (store.name, store.fingerprint(), target)
    if place not in _shared:
        _shared[place] = CachedStore(store, _room(store, mode, target), in_file=in_file)
    return _shared[place]


def _fits_file(store: ImageStore) -> bool:
    """Whether decoded images may be kept in a file."""
    return num_bytes(store) <= cache_bytes() and file_name(store) is not None


def _target(mode: str, device: torch.device, needed: int, promised: int = 0) -> torch.device | None:
    """Where the images go; None is nowhere. `promised` bytes of the free RAM are others'."""
    cpu = torch.device("cpu")
    if mode != "auto":
        return {"device": device, "ram": cpu, "disk": None}[mode]
    if device.type == "cuda" and needed <= DEVICE_FRACTION * torch.cuda.mem_get_info(device)[0]:
        return device
    return cpu if needed + promised <= RAM_FRACTION * available_ram() else None


def _room(store: ImageStore, mode: str, target: torch.device) -> Tensor:
    """Memory for all the images."""
    size = store.image_size
    try:
        return torch.empty(len(store), 3, size, size, dtype=torch.uint8, device=target)
    except RuntimeError as error:  # torch's out-of-memory errors, on any device
        raise UsageError(
            f"--cache {mode}: the {len(store):,} images of {store.name} take {num_bytes(store) / 2**30:.1f} GiB, "
            f"more than there is on {target}: pass --cache none"
        ) from error
