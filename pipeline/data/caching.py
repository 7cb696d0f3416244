"""Decoded images kept in RAM or on the device, so that no image is decoded twice in a run."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...learners.collectives import rank
from ..errors import UsageError
from ..progress import Progress
from .capacity import available_ram
from .memory import MemoryStore
from .store import ImageStore, Indices

CACHE_MODES = ("auto", "device", "ram", "none")

DEVICE_FRACTION = 0.25
"""Of the device's free memory, what `auto` lets the images take; the rest is for models and activations. Ours."""

RAM_FRACTION = 0.5
"""Of the free RAM, what `auto` lets the images take. Ours."""

_CHUNK = 1024  # images decoded at a time: enough for all threads, little memory beside the cache itself


class CachedStore(MemoryStore):
    """The images of another store, decoded. Name, labels, keys and fingerprint are the other's."""

    def __init__(self, store: ImageStore, images: Tensor) -> None:
        super().__init__(images, store.name, store.labels, store.class_names)
        self._store = store

    def keys(self, indices: Indices) -> list[str]:
        return self._store.keys(indices)

    def fingerprint(self) -> str:
        return self._store.fingerprint()


def cached(store: ImageStore, mode: str = "auto", device: torch.device | str = "cpu") -> ImageStore:
    """A store that reads the same images from memory. Decoding shows its progress, in the main process.

    Args:
        store: what to decode, once, here and now.
        mode: `device` and `ram` keep all images there; `none` gives `store` back as it is; `auto` is `device` on an
            accelerator if the images take at most `DEVICE_FRACTION` of its free memory, else `ram` if they take at most
            `RAM_FRACTION` of the free RAM, else `none`.
        device: the device of training. On the CPU, `device` and `ram` are the same.

    Returns:
        A store whose `read` gives tensors on the CPU (`ram`, `none`) or on `device` (`device`).

    Raises:
        UsageError: an unknown mode, or images that do not fit where the mode wants them.
        DataError: an image that cannot be decoded.
    """
    if mode not in CACHE_MODES:
        raise UsageError(f"--cache {mode!r} is unknown: choose one of {', '.join(CACHE_MODES)}")
    target = _target(mode, torch.device(device), _num_bytes(store))
    if target is None:
        return store
    if isinstance(store, MemoryStore):
        return store if store.images.device == target else CachedStore(store, store.images.to(target))
    return CachedStore(store, _decode_all(store, mode, target))


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


def _decode_all(store: ImageStore, mode: str, target: torch.device) -> Tensor:
    size = store.image_size
    try:
        images = torch.empty(len(store), 3, size, size, dtype=torch.uint8, device=target)
    except RuntimeError as error:  # torch's out-of-memory errors, on any device
        raise UsageError(
            f"--cache {mode}: the {len(store):,} images of {store.name} take {_num_bytes(store) / 2**30:.1f} GiB, "
            f"more than there is on {target}: pass --cache none"
        ) from error
    with Progress(f"decode {store.name}", len(store), "images", enabled=rank() == 0) as progress:
        for start in range(0, len(store), _CHUNK):
            stop = min(start + _CHUNK, len(store))
            images[start:stop] = store.read(np.arange(start, stop))
            progress.update(stop)
    store.release()
    return images
