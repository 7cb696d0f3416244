"""Parts of image stores: those that a SPEC names in brackets, and any choice of images.

Shapes: N images of the whole set, M of the part, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..randomness import Key
from .labels import rank_within_class
from .memory import ResizedStore
from .order import Permutation
from .slices import BALANCED, SHUFFLED, Slice
from .store import ImageStore, Indices, WrappedStore, as_indices, unlabelled


class PartStore(WrappedStore):
    """Some images of a store, in an order of their own; the others are never read.

    Args:
        store: the whole.
        part: (M,) int64, which of its images.
        name: how the user called the part; as the whole if not given.
    """

    def __init__(self, store: ImageStore, part: np.ndarray, name: str | None = None) -> None:
        super().__init__(store)
        self.name = name or store.name
        self.labels = None if store.labels is None else store.labels[part]
        self._part = part

    def __len__(self) -> int:
        return len(self._part)

    def read(self, indices: Indices) -> Tensor:
        return self._store.read(self._part[as_indices(indices, len(self))])

    def keys(self, indices: Indices) -> list[str]:
        return self._store.keys(self._part[as_indices(indices, len(self))])

    def short_sides(self, indices: np.ndarray) -> np.ndarray | None:
        return self._store.short_sides(self._part[indices])

    def fingerprint(self) -> str:
        """A fingerprint of the store and of the part, so that two parts differ even if the images looked at agree."""
        if np.array_equal(self._part, np.arange(len(self._store))):
            return self._store.fingerprint()
        return super().fingerprint()

    def origin(self) -> tuple[str, np.ndarray]:
        whole, positions = self._store.origin()
        return whole, positions[self._part]

    def _identity(self) -> bytes:
        return f"part of {len(self._store)} ".encode() + np.ascontiguousarray(self._part, dtype="<i8").tobytes()

    def _contents(self, indices: np.ndarray) -> Iterator[bytes]:
        yield from self._store._contents(self._part[indices])


def open_part(store: ImageStore, part: Slice, image_size: int | None) -> PartStore:
    """The images of a store that a SPEC's brackets name, in the order of the file.

    Args:
        store: all of them.
        part: which.
        image_size: pixels a side that they are brought to where the store has another size.

    Raises:
        UsageError: a slice outside of the set, one that holds no image, or one that cannot be balanced.
    """
    positions = choose_positions(part, len(store), store.labels, store.name, store.class_names, store.labels_problem)
    if image_size is not None and image_size != store.image_size:
        store = ResizedStore(store, image_size)
    return PartStore(store, positions, f"{store.name}{part}")


def choose_positions(
    part: Slice,
    num_images: int,
    labels: np.ndarray | None,
    name: str,
    class_names: Sequence[str] | None = None,
    labels_problem: str | None = None,
) -> np.ndarray:
    """Which images of a set a slice is, (M,) int64 ascending.

    `shuffled` slices a random permutation of the set, `balanced` one in which the classes take turns; so slices of one
    order and seed that do not overlap have no image in common, and a shorter one from the start lies in a longer one.

    Args:
        part: the slice.
        num_images: N.
        labels: (N,) int64, or None.
        name, class_names, labels_problem: of the set, for errors.

    Raises:
        UsageError: as `open_part`.
    """
    start, stop = part.bounds(num_images, name)
    key = Key.from_seed(part.seed).child("data", "part")
    if part.order == SHUFFLED:
        return np.sort(Permutation(num_images, key)(np.arange(start, stop)))
    if part.order == BALANCED:
        if labels is None:
            raise UsageError(
                f"{name}{part}: {unlabelled(name, labels_problem)} to balance; write shuffled for balanced"
            )
        _check_labels(labels, part, name)
        chosen = np.sort(_taking_turns(labels, key)[start:stop])
        _check_balance(labels, chosen, stop, f"{name}{part}", class_names)
        return chosen
    return np.arange(start, stop)


def _taking_turns(labels: np.ndarray, key: Key) -> np.ndarray:
    """All images shuffled, (N,), one of each class in turn for as long as it has some, in the same order each turn."""
    _, classes = np.unique(labels, return_inverse=True)
    numbers = torch.from_numpy(classes.ravel())
    order, rank, _ = rank_within_class(numbers, key)
    turn = torch.from_numpy(Permutation(int(numbers.max()) + 1, key.child("classes"))(numbers[order].numpy()))
    return order[(rank * len(labels) + turn).argsort()].numpy()


def _check_labels(labels: np.ndarray, part: Slice, name: str) -> None:
    missing = int((labels < 0).sum())
    if missing:
        raise UsageError(
            f"{name}{part}: {missing:,} of the {len(labels):,} images of {name} have no label (-1) to balance; "
            "write shuffled for balanced"
        )


def _check_balance(
    labels: np.ndarray, chosen: np.ndarray, stop: int, name: str, class_names: Sequence[str] | None
) -> None:
    """Raises UsageError if classes ran out of images, so that others had to give more."""
    classes, sizes = np.unique(labels, return_counts=True)
    counts = np.bincount(np.searchsorted(classes, labels[chosen]), minlength=len(classes))
    if counts.max() - counts.min() <= 1:
        return
    smallest = sizes.argmin()
    title = classes[smallest] if class_names is None else class_names[classes[smallest]]
    raise UsageError(
        f"{name} cannot be balanced: of class {title} there are {sizes[smallest]:,} images, so with {len(classes)} "
        f"classes in turn it is used up after {len(classes) * sizes[smallest]:,} images, and the slice goes to "
        f"{stop:,}; let it end before, or write shuffled for balanced"
    )
