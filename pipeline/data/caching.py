"""Decoded images kept in RAM or on the device, so that no image is decoded twice in a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ...learners.collectives import rank
from ..capacity import available_ram
from ..errors import UsageError
from ..progress import Progress
from .memory import MemoryStore
from .store import ImageStore, Indices

CACHE_MODES = ("auto", "device", "ram", "none")

DEVICE_FRACTION = 0.25
"""Of the device's free memory, what `auto` lets the images take; the rest is for models and activations. Ours."""

RAM_FRACTION = 0.5
"""Of the free RAM, what `auto` lets the images take. Ours."""

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


class CachedStore(MemoryStore):
    """The images of another store, decoded all together when the first is read. The rest is the other store's.

    So what reads the images can be built, and everything be checked, before the long work begins.
    """

    def __init__(self, store: ImageStore, images: Tensor) -> None:
        super().__init__(images, store.name, store.labels, store.class_names)
        self._store = store
        self._decoded = False

    def read(self, indices: Indices) -> Tensor:
        if not self._decoded:
            self._decode()
        return super().read(indices)

    def _decode(self) -> None:
        with Progress(f"decode {self.name}", len(self), "images", enabled=rank() == 0) as progress:
            for start in range(0, len(self), _CHUNK):
                stop = min(start + _CHUNK, len(self))
                self.images[start:stop] = self._store.read(np.arange(start, stop))
                progress.update(stop)
        self._store.release()
        self._decoded = True

    def keys(self, indices: Indices) -> list[str]:
        return self._store.keys(indices)

    def fingerprint(self) -> str:
        return self._store.fingerprint()

    def origin(self) -> tuple[str, np.ndarray]:
        return self._store.origin()


def cached(store: ImageStore, mode: str = "auto", device: torch.device | str = "cpu") -> ImageStore:
    """A store that reads the same images from memory. Decoding shows its progress, in the main process.

    Args:
        store: what to decode, once, when the first image is read.
        mode: `device` and `ram` keep all images there; `none` gives `store` back as it is; `auto` is `device` on an
            accelerator if the images take at most `DEVICE_FRACTION` of its free memory, else `ram` if they take at most
            `RAM_FRACTION` of the free RAM, else `none`.
        device: the device of training. On the CPU, `device` and `ram` are the same.

    Returns:
        A store whose `read` gives tensors on the CPU (`ram`, `none`) or on `device` (`device`).

    Raises:
        UsageError: an unknown mode, or images that do not fit where the mode wants them.
    """
    if mode not in CACHE_MODES:
        raise UsageError(f"--cache {mode!r} is unknown: choose one of {', '.join(CACHE_MODES)}")
    target = _target(mode, torch.device(device), _num_bytes(store))
    if target is None:
        return store
    if isinstance(store, MemoryStore) and store.images.device == target:
        return store
    if _shared is None:
        return CachedStore(store, _room(store, mode, target))
    place = (store.name, store.fingerprint(), target)
    if place not in _shared:
        _shared[place] = CachedStore(store, _room(store, mode, target))
    return _shared[place]


def _num_bytes(store: ImageStore) -> int:
    return len(store) * 3 * store.image_size**2


def _target(mode: str, device: torch.device, num_bytes: int) -> torch.device | None:
    """Where the images go; None is nowhere."""
    cpu = torch.device("cpu")
    if mode != "auto":
        return {"device": device, "ram": cpu, "none": None}[mode]
    if device.type == "cuda" and num_bytes <= DEVICE_FRACTION * torch.cuda.mem_get_info(device)[0]:
        return device
    return cpu if num_bytes <= RAM_FRACTION * available_ram() else None


def _room(store: ImageStore, mode: str, target: torch.device) -> Tensor:
    """Memory for all the images."""
    size = store.image_size
    try:
        return torch.empty(len(store), 3, size, size, dtype=torch.uint8, device=target)
    except RuntimeError as error:  # torch's out-of-memory errors, on any device
        raise UsageError(
            f"--cache {mode}: the {len(store):,} images of {store.name} take {_num_bytes(store) / 2**30:.1f} GiB, "
            f"more than there is on {target}: pass --cache none"
        ) from error
