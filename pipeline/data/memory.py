"""Images held decoded in one uint8 tensor, in RAM or on the device: small sets, and the cache of all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..images.decoding import resize_images
from ..runtime.readback import sent
from .store import ImageStore, Indices, WrappedStore, as_indices


class MemoryStore(ImageStore):
    """A store over a tensor.

    Args:
        images: (N, 3, S, S) uint8, on any device.
        name: the SPEC.
        labels: (N,) integers, or None.
        class_names: the labels' names, or None.
        resized_from: pixels of the shorter side that all of them had before they came to S, or None.
    """

    def __init__(
        self,
        images: Tensor,
        name: str,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        *,
        resized_from: int | None = None,
    ) -> None:
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (N, 3, S, S) uint8, not {tuple(images.shape)} {images.dtype}")
        self.images = images
        self.name = name
        self.image_size = images.shape[-1]
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        self.class_names = class_names
        self._resized_from = resized_from

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Indices) -> Tensor:
        if not isinstance(indices, Tensor) or indices.device != self.images.device:
            checked = torch.from_numpy(as_indices(indices, len(self)))
            indices = sent(checked, self.images.device)
        elif indices.device.type == "cpu":
            indices = torch.from_numpy(as_indices(indices, len(self)))
        # Indices that are on the device already are checked there, by index_select itself: no waiting for the device.
        return self.images.index_select(0, indices)

    def keys(self, indices: Indices) -> list[str]:
        return [str(index) for index in as_indices(indices, len(self))]

    def short_sides(self, indices: np.ndarray) -> np.ndarray | None:
        return None if self._resized_from is None else np.full(len(indices), self._resized_from)


class ResizedStore(WrappedStore):
    """The images of another store brought to another size as they are read, for those who read few of them.

    Args:
        store: the images, on the CPU.
        image_size: pixels a side.
    """

    def __init__(self, store: ImageStore, image_size: int) -> None:
        super().__init__(store)
        self.image_size = image_size

    def read(self, indices: Indices) -> Tensor:
        return resize_images(self._store.read(indices), self.image_size)
