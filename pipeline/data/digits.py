"""`digits`: scikit-learn's bundled handwritten digits, 1,797 real images of 8 x 8 pixels that need no download.

Of each class every fifth image, in the order of the file, is in the test split: 355 images against 1,442 for training,
each class in equal parts. The split is ours and never changes.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from ..images.decoding import resize_images
from .memory import MemoryStore

SPLITS = ("train", "test")
_TEST_EVERY = 5
_SIZE = 8
_WHITE = 16  # the values of the file are 0 to 16


def open_digits(split: str, name: str, image_size: int | None) -> MemoryStore:
    """The `train` or `test` split, gray as RGB."""
    pixels, labels = _read()
    chosen = np.flatnonzero(_is_test(labels) == (split == "test"))
    gray = torch.from_numpy(np.rint(pixels[chosen] * (255 / _WHITE)).astype(np.uint8)).reshape(-1, 1, _SIZE, _SIZE)
    images = gray.expand(-1, 3, -1, -1).contiguous()
    images = resize_images(images, image_size or _SIZE)
    return MemoryStore(images, name, labels[chosen], [str(digit) for digit in range(10)], resized_from=_SIZE)


@functools.cache
def _read() -> tuple[np.ndarray, np.ndarray]:
    """The values of the file, (1797, 64), and its labels; not to be written to. Read once: it is compressed text."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def _is_test(labels: np.ndarray) -> np.ndarray:
    """(N,) bool: whether a sample is the last of five in its class."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    return test
