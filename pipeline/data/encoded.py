"""What the stores of encoded images (Parquet, tars, folders, shards) share: get the bytes, decode them in bulk."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from ..errors import DataError
from ..images.decoding import LOCAL_FORMATS, decode_images, image_dimensions
from .store import PEEKED_IMAGES, ImageStore, Indices, as_indices, spread


class EncodedStore(ImageStore):
    """A store of image files in some container. A subclass sets its attributes, then calls `_settle_size`."""

    formats: Sequence[str] = LOCAL_FORMATS

    @abstractmethod
    def read_encoded(self, indices: np.ndarray) -> list[bytes | memoryview]:
        """The image files' bytes, for indices that are within [0, len)."""

    @abstractmethod
    def describe(self, index: int) -> str:
        """Where image `index` is, for an error: file, position in it, key."""

    def read(self, indices: Indices) -> Tensor:
        wanted = as_indices(indices, len(self))
        encoded = self.read_encoded(wanted)
        images = decode_images(
            encoded, image_size=self._resize_to, describe=lambda i: self.describe(wanted[i]), formats=self.formats
        )
        if len(images) and tuple(images.shape[2:]) != (self.image_size, self.image_size):
            height, width = images.shape[2:]
            raise DataError(
                f"{self.describe(wanted[0])} is {width} x {height} pixels, but the first image of {self.name} is "
                f"{self.image_size} x {self.image_size}: pass --image-size to bring all images to one size"
            )
        return images

    def short_sides(self, indices: np.ndarray) -> np.ndarray:
        return np.array([min(size) for size in self._dimensions(indices)], dtype=np.int64)

    def _settle_size(self, image_size: int | None) -> None:
        """Take the size asked for, or else that of the images, as far as a look at some of their headers tells.

        Raises:
            DataError: no size is asked for and the images are not square or not of one size.
        """
        self._resize_to = image_size
        self.image_size = image_size or self._native_size()

    def _native_size(self) -> int:
        indices = spread(len(self), PEEKED_IMAGES)
        first: tuple[int, int] | None = None
        for index, size in zip(indices, self._dimensions(indices), strict=True):
            first = first or size
            if size != first:
                raise DataError(
                    f"the images of {self.name} differ in size ({self.describe(indices[0])} is {first[0]} x {first[1]} "
                    f"pixels, {self.describe(index)} is {size[0]} x {size[1]}): pass --image-size"
                )
            if size[0] != size[1]:
                raise DataError(
                    f"the images of {self.name} are not square ({size[0]} x {size[1]} pixels): pass --image-size "
                    f"to crop them"
                )
        assert first is not None, "a store has at least one image"
        return first[0]

    def _dimensions(self, indices: np.ndarray) -> Iterator[tuple[int, int]]:
        """Width and height of images, of which their headers tell."""
        for index, data in zip(indices, self.read_encoded(indices), strict=True):
            try:
                yield image_dimensions(data, self.formats)
            except ValueError as error:
                raise DataError(f"cannot read {self.describe(index)}: {error}") from error

    def _contents(self, indices: np.ndarray) -> Iterator[bytes]:
        yield from map(bytes, self.read_encoded(indices))
