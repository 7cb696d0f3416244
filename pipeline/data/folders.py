"""Image folders: flat (no labels), or one subfolder a class, either of them perhaps in `train/`, `test/`, `val/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from .encoded import EncodedStore
from .labels import encode_labels
from .paths import IMAGE_EXTENSIONS, find_images, relative_names
from .store import Indices, as_indices


class FileStore(EncodedStore):
    """Image files that lie singly on the disk.

    Args:
        files: in order.
        name: the SPEC.
        image_size: see `EncodedStore`.
        labels: (N,) int64, or None.
        class_names: the labels' names, or None.
    """

    def __init__(
        self,
        files: Sequence[Path],
        name: str,
        image_size: int | None,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.name, self.labels, self.class_names = name, labels, class_names
        self._files = list(files)
        self._settle_size(image_size)
        self._keys = relative_names(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def read_encoded(self, indices: np.ndarray) -> list[bytes | memoryview]:
        return [_read_file(self._files[index]) for index in indices]

    def files(self) -> Sequence[Path]:
        return self._files

    def describe(self, index: int) -> str:
        return str(self._files[index])

    def keys(self, indices: Indices) -> list[str]:
        return [self._keys[index] for index in as_indices(indices, len(self))]


def open_folder(folder: Path, all_folders: Sequence[Path], name: str, image_size: int | None) -> FileStore:
    """The image files of a folder, in the order of their paths.

    Images that lie in the folder itself make it a flat one: all images in it and below, without labels. A folder with
    images in its subfolders only has as many classes as subfolders, numbered in sorted order. Files with other
    extensions, and names that begin with a dot, are passed over.

    Args:
        folder: where the split lies.
        all_folders: the folders of all splits, which together say what classes there are.
        name: the SPEC.
        image_size: see `EncodedStore`.

    Raises:
        DataError: a folder without images.
    """
    files = find_images(folder)
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(IMAGE_EXTENSIONS)}){_what_else(folder)}")
    if any(path.parent == folder for path in files):
        return FileStore(files, name, image_size)
    labels, names = encode_labels(
        [_class_of(path, folder) for path in files],
        # An image that lies in a split's folder itself (an unlabelled test split) has no class.
        lambda: {_class_of(p, other) for other in all_folders for p in find_images(other) if p.parent != other},
        numbers=False,
    )
    return FileStore(files, name, image_size, labels, names)


def _class_of(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0]


def _what_else(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return ": it is empty"
    return f"; it holds {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
