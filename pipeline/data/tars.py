"""WebDataset tars from anyone: `KEY.jpg`, `.jpeg`, `.png` or `.webp`, with or without the class in `KEY.cls`.

Read by offset: one pass over the headers on opening, then `pread`; no file is kept open. Nothing in a tar is
extracted, unpickled or run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..errors import DataError
from ..images.decoding import SAFE_FORMATS
from .encoded import EncodedStore
from .labels import encode_labels
from .paths import relative_names
from .store import Indices, as_indices
from .tarindex import Member, index_tar, iterate_tar

TAR_IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
_CLASS_EXTENSION = "cls"
_SAMPLES_LOOKED_AT = 3  # ours: a tar has classes for all samples or for none
MAX_CLASS_BYTES = 256  # ours: a class is a number or a name


class _Tar(NamedTuple):
    """The samples of one tar, column by column."""

    keys: list[str]
    images: list[Member]
    classes: list[str | None]


class TarStore(EncodedStore):
    """The samples of some tars, in order.

    Args:
        files: the tars of one split.
        all_files: those of all splits, which together say what classes there are, and whether they are words.
        name: the SPEC.
        image_size: see `EncodedStore`.

    Raises:
        DataError: a damaged tar, a tar without images, two samples of one key in a tar, classes for some images only.
    """

    formats = SAFE_FORMATS

    def __init__(self, files: Sequence[Path], all_files: Sequence[Path], name: str, image_size: int | None) -> None:
        self.name = name
        self._paths = list(files)
        tars = [_index_samples(path) for path in self._paths]
        self._tars = np.repeat(np.arange(len(tars)), [len(tar.keys) for tar in tars])
        self._offsets = np.array([m.offset for tar in tars for m in tar.images], dtype=np.int64)
        self._sizes = np.array([m.size for tar in tars for m in tar.images], dtype=np.int64)
        self._numbers = np.concatenate([np.arange(len(tar.keys)) for tar in tars])
        self._keys = _unique_keys(tars, relative_names(self._paths))
        self.labels, self.class_names = self._labels([c for tar in tars for c in tar.classes], all_files)
        self._settle_size(image_size)

    def __len__(self) -> int:
        return len(self._offsets)

    def _labels(
        self, classes: Sequence[str | None], all_files: Sequence[Path]
    ) -> tuple[np.ndarray | None, list[str] | None]:
        known = [word for word in classes if word is not None]
        if not known:
            return None, None
        if len(known) < len(classes):
            raise DataError(f"{self.describe(classes.index(None))} has no .{_CLASS_EXTENSION}, but other samples have")
        others = set(all_files) - set(self._paths)
        return encode_labels(known, lambda: {word for path in others for word in _classes_in(path)})

    def read_encoded(self, indices: np.ndarray) -> list[bytes | memoryview]:
        encoded: list[bytes | memoryview] = [b""] * len(indices)
        tars = self._tars[indices]
        for tar in np.unique(tars):
            try:
                with open(self._paths[tar], "rb", buffering=0) as file:
                    for i in np.flatnonzero(tars == tar):
                        encoded[i] = self._read_one(file.fileno(), int(indices[i]))
            except OSError as error:
                raise DataError(f"cannot read {self._paths[tar]}: {error.strerror}") from error
        return encoded

    def files(self) -> Sequence[Path]:
        return self._paths

    def describe(self, index: int) -> str:
        return (
            f"{self._keys[index]} (sample {self._numbers[index]}, at byte {self._offsets[index]:,}) "
            f"of {self._paths[self._tars[index]]}"
        )

    def keys(self, indices: Indices) -> list[str]:
        return [self._keys[index] for index in as_indices(indices, len(self))]

    def _read_one(self, descriptor: int, index: int) -> bytes:
        size = int(self._sizes[index])
        data = os.pread(descriptor, size, int(self._offsets[index]))
        if len(data) != size:
            raise DataError(f"{self.describe(index)} is cut short: the tar has shrunk since it was opened")
        return data


def split_member_name(name: str) -> tuple[str, str]:
    """(key, extension) at the first dot of the last part of the name, as WebDataset splits it; no dot, no extension."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, extension.lower()


def lacks_labels(files: Sequence[Path]) -> bool:
    """Whether the samples that the first of some tars begins with have no class beside them.

    Raises:
        DataError: a file that is no tar.
    """
    samples = 0
    for member in iterate_tar(files[0]):
        extension = split_member_name(member.name)[1]
        if extension == _CLASS_EXTENSION:
            return False
        samples += extension in TAR_IMAGE_EXTENSIONS
        if samples > _SAMPLES_LOOKED_AT:
            break
    return True


def _index_samples(path: Path) -> _Tar:
    """The images of a tar; members of one key belong together wherever they lie."""
    images: dict[str, Member] = {}
    classes: dict[str, Member] = {}
    extensions = set()
    for member in index_tar(path):
        key, extension = split_member_name(member.name)
        extensions.add(extension)
        if extension in TAR_IMAGE_EXTENSIONS:
            if key in images:
                raise DataError(f"{path} holds two images of the key {key!r}: {images[key].name} and {member.name}")
            images[key] = member
        elif extension == _CLASS_EXTENSION:
            classes[key] = member
    if not images:
        raise DataError(
            f"{path} has no images (KEY.{', KEY.'.join(TAR_IMAGE_EXTENSIONS)}); "
            f"its files end in {', '.join(sorted(map(repr, extensions))) or 'nothing: it is empty'}"
        )
    words = _read_classes(path, [classes.get(key) for key in images])
    _classes_seen[_state_of(path)] = _different(words)
    return _Tar(list(images), list(images.values()), words)


_classes_seen: dict[tuple[Path, int, int], frozenset[str]] = {}
"""The classes in tars that this process has read, by path, size and time of change: each split asks for those of all
others, and reading through a million samples takes more than a minute."""


def _classes_in(path: Path) -> frozenset[str]:
    seen = _classes_seen.get(_state_of(path))
    return _different(_index_samples(path).classes) if seen is None else seen


def _different(classes: Sequence[str | None]) -> frozenset[str]:
    return frozenset(word for word in classes if word is not None)


def _state_of(path: Path) -> tuple[Path, int, int]:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


def _read_classes(path: Path, members: Sequence[Member | None]) -> list[str | None]:
    words: list[str | None] = []
    with open(path, "rb") as file:
        for member in members:
            if member is not None and member.size > MAX_CLASS_BYTES:
                raise DataError(f"{member.name} of {path} has {member.size:,} bytes: a class is a number or a name")
            words.append(None if member is None else sys.intern(_read_text(file, member)))
    return words


def _read_text(file: BinaryIO, member: Member) -> str:
    file.seek(member.offset)
    return file.read(member.size).decode("utf-8", "replace").strip()


def _unique_keys(tars: Sequence[_Tar], names: Sequence[str]) -> list[str]:
    """Member names without their extension; with the tar's name before them if tars repeat them."""
    keys = [key for tar in tars for key in tar.keys]
    if len(set(keys)) == len(keys):
        return keys
    return [f"{name.removesuffix('.tar')}/{key}" for tar, name in zip(tars, names, strict=True) for key in tar.keys]
