"""Encodes samples as a chunk of a tar: what the encoder processes do. Imports no torch.

Shapes: n samples of V images each, (n, V, 3, H, W) uint8.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ..images.encoding import Encoding, encode_images
from .layout import BLOCK, member_extensions, member_header, padding, sample_key


@dataclass(frozen=True)
class TarChunk:
    """The members of some samples, as they lie in a tar.

    Attributes:
        data: headers, image files and padding.
        offsets: (n, V) int64, where each image file begins in `data`.
        sizes: (n, V) int64, bytes of each image file.
        crc32: (n, V) uint32, checksum of each image file.
        header_crc32: (n, V) uint32, checksum of the tar header before each image file.
    """

    data: bytes
    offsets: np.ndarray
    sizes: np.ndarray
    crc32: np.ndarray
    header_crc32: np.ndarray


def encode_chunk(first_index: int, images: np.ndarray, encoding: Encoding) -> TarChunk:
    """Encode the samples `first_index`, `first_index + 1`, ... with images (n, V, 3, H, W)."""
    n, views = images.shape[:2]
    files = encode_images(images.reshape(n * views, *images.shape[2:]), encoding)
    extensions = member_extensions(views, encoding.image_format)
    parts: list[bytes] = []
    facts = np.empty((4, n * views), dtype=np.int64)
    position = 0
    for i, file in enumerate(files):
        sample, view = divmod(i, views)
        header = member_header(sample_key(first_index + sample) + extensions[view], len(file))
        parts += (header, file, bytes(padding(len(file))))
        facts[:, i] = position + BLOCK, len(file), zlib.crc32(file), zlib.crc32(header)
        position += BLOCK + len(file) + padding(len(file))
    offsets, sizes, crc32, header_crc32 = facts.reshape(4, n, views)
    return TarChunk(b"".join(parts), offsets, sizes, crc32.astype(np.uint32), header_crc32.astype(np.uint32))
