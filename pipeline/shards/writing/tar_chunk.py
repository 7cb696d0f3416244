"""Encodes samples as a chunk of a tar: what the encoder processes do. Imports no torch.

Shapes: n samples of V images each, (n, V, 3, H, W) uint8, and L members beside them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...images.encoding import Encoding, encode_images
from ..layout import BLOCK, member_extensions, member_header, padding, sample_key


@dataclass(frozen=True)
class TarChunk:
    """The members of some samples, as they lie in a tar.

    Attributes:
        data: headers, files and padding.
        offsets: (n, V + L) int64, where each file begins in `data`.
        sizes: (n, V + L) int64, bytes of each file.
        crc32: (n, V + L) uint32, checksum of each file.
        header_crc32: (n, V + L) uint32, checksum of the tar header before each file.
    """

    data: bytes
    offsets: np.ndarray
    sizes: np.ndarray
    crc32: np.ndarray
    header_crc32: np.ndarray


def encode_chunk(
    first_index: int, images: np.ndarray, encoding: Encoding, labels: Mapping[str, Sequence[bytes]] | None = None
) -> TarChunk:
    """Encode the samples `first_index`, `first_index + 1`, ...

    Args:
        first_index: of the first sample.
        images: (n, V, 3, H, W) uint8.
        encoding: of the images.
        labels: the files beside each sample's images, n by extension (`cls`, `txt`), in their order in the tar.
    """
    n, views = images.shape[:2]
    encoded = encode_images(images.reshape(n * views, *images.shape[2:]), encoding)
    columns = [encoded[view::views] for view in range(views)] + list((labels or {}).values())
    extensions = member_extensions(views, encoding.image_format) + [f".{name}" for name in labels or {}]
    parts: list[bytes] = []
    count = len(extensions)
    facts = np.empty((4, n * count), dtype=np.int64)
    position = 0
    for i in range(n * count):
        sample, member = divmod(i, count)
        file = columns[member][sample]
        header = member_header(sample_key(first_index + sample) + extensions[member], len(file))
        parts += (header, file, bytes(padding(len(file))))
        facts[:, i] = position + BLOCK, len(file), zlib.crc32(file), zlib.crc32(header)
        position += BLOCK + len(file) + padding(len(file))
    offsets, sizes, crc32, header_crc32 = facts.reshape(4, n, count)
    return TarChunk(b"".join(parts), offsets, sizes, crc32.astype(np.uint32), header_crc32.astype(np.uint32))
