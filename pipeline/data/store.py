"""The image store: random access to decoded images, one interface for every source.

Shapes: N images asked for, C channels (always 3, RGB), H = W = `image_size` pixels.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Indices: TypeAlias = "Sequence[int] | np.ndarray | Tensor"

PEEKED_IMAGES = 32
"""How many images' headers are read to learn of the sizes of all: few enough to be read on opening. Ours."""

_FINGERPRINT_IMAGES = 64  # ours: enough to tell sets apart, few enough to read at once from a slow disk


class ImageStore(ABC):
    """A fixed, numbered set of images.

    Attributes:
        name: how the user called it (a SPEC), for messages and records.
        image_size: pixels a side of what `read` gives.
        labels: (len,) int64, or None where the source has none.
        class_names: the labels' names, or None.
        labels_problem: why what the source has for labels cannot be used, so that `labels` is None; None where there is
            nothing of the kind.
    """

    name: str
    image_size: int
    labels: np.ndarray | None = None
    class_names: Sequence[str] | None = None
    labels_problem: str | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many images."""

    @abstractmethod
    def read(self, indices: Indices) -> Tensor:
        """Images (N, 3, H, W) uint8 RGB, in the order asked for; repeats are allowed.

        Raises:
            DataError: an image that cannot be decoded, named with its position in the source.
            IndexError: an index outside [0, len).
        """

    @abstractmethod
    def keys(self, indices: Indices) -> list[str]:
        """A name for each image, unique in the store (a member name, a path, a row number)."""

    def files(self) -> Sequence[Path]:
        """The files that the images are in, as far as their sizes and times tell whether an image has changed; none
        where they do not."""
        return ()

    def file_facts(self) -> list[tuple[int, int]] | None:
        """Size (bytes) and time of the last change (nanoseconds) of each of `files()`, None where a file is gone.

        Where one differs, an image may have changed, be it one that the fingerprint does not look at.
        """
        try:
            found = [path.stat() for path in self.files()]
        except OSError:
            return None
        return [(each.st_size, each.st_mtime_ns) for each in found]

    def short_sides(self, indices: np.ndarray) -> np.ndarray | None:
        """Pixels of the shorter sides that images have before they are brought to `image_size`, (N,) int64, as far as
        headers tell; None where it is not known."""
        return None

    def release(self) -> None:
        """Let go of what is kept in memory only to read faster, because all has been read for now."""

    def fingerprint(self) -> str:
        """16 hex digits that identify the images: for recipes, and to notice that they changed since a run began.

        It is made of the number of images, the image size, all labels and 64 images spread evenly over the set, so it
        is the same wherever the data lies and however it is called or cached. It does not notice a change to an image
        that is not among the 64; what is kept of the images on this machine asks `file_facts` too.
        """
        digest = hashlib.blake2b(f"{len(self)} {self.image_size}".encode() + self._identity(), digest_size=8)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        for content in self._contents(spread(len(self), _FINGERPRINT_IMAGES)):
            digest.update(content)
        return digest.hexdigest()

    def described(self) -> str:
        """The number of images and the fingerprint, in words."""
        return f"{len(self):,} images of fingerprint {self.fingerprint()}"

    def origin(self) -> tuple[str, np.ndarray]:
        """The fingerprint of the set that the images are taken from, and their positions there, (len,) int64: of the
        store itself if it is no part of another."""
        return self.fingerprint(), np.arange(len(self))

    def _identity(self) -> bytes:
        """What else tells this store's images from others'."""
        return b""

    def _contents(self, indices: np.ndarray) -> Iterator[bytes]:
        """Bytes that identify each of these images: its pixels, or its file where there is one."""
        yield self.read(indices).cpu().numpy().tobytes()


class WrappedStore(ImageStore):
    """Images of another store, read in another way. What they are called and where they are from is the other's.

    Its fingerprint and its origin are those of images of its own, since their pixels or their order may differ.
    """

    def __init__(self, store: ImageStore) -> None:
        self.name, self.image_size = store.name, store.image_size
        self.labels, self.class_names = store.labels, store.class_names
        self.labels_problem = store.labels_problem
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def keys(self, indices: Indices) -> list[str]:
        return self._store.keys(indices)

    def files(self) -> Sequence[Path]:
        return self._store.files()

    def short_sides(self, indices: np.ndarray) -> np.ndarray | None:
        return self._store.short_sides(indices)

    def release(self) -> None:
        self._store.release()


def unlabelled(name: str, labels_problem: str | None) -> str:
    """That a store of this name has no labels, for an error: and why, where it has some that cannot be used."""
    return f"{name} has no labels" + (f" that can be used ({labels_problem})" if labels_problem else "")


def count_shared(store: ImageStore, other: ImageStore) -> int:
    """How many images of `store` are in `other` too, where both are, or are parts of, one set: whatever that is called
    and wherever it lies. Sets of which one holds copies of some images of the other are not noticed."""
    (whole, positions), (other_whole, other_positions) = store.origin(), other.origin()
    return int(np.isin(positions, other_positions).sum()) if whole == other_whole else 0


def as_indices(indices: Indices, length: int) -> np.ndarray:
    """Indices of any kind as (N,) int64. Raises IndexError where one is outside [0, length)."""
    values = np.asarray(indices.cpu() if hasattr(indices, "cpu") else indices)
    values = values.astype(np.int64).ravel() if values.size else np.empty(0, dtype=np.int64)
    if values.size and (values.min() < 0 or values.max() >= length):
        wrong = values[(values < 0) | (values >= length)][0]
        raise IndexError(f"there is no image {wrong} in a store of {length}")
    return values


def spread(length: int, count: int) -> np.ndarray:
    """At most `count` indices spread evenly over [0, length), the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, count)).astype(np.int64))
