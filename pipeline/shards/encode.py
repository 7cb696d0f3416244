"""Images to the bytes of a tar: what the encoder processes do. Nothing here imports torch.

Shapes: n samples of V images each, (n, V, 3, H, W) uint8.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .layout import BLOCK, IMAGE_FORMATS, member_extensions, member_header, padding, sample_key
from .png import encode_pngs

JPEG_QUALITY = 95
"""Of jpg, if none is given. Ours."""


@dataclass(frozen=True)
class Encoding:
    """How images become files.

    Attributes:
        image_format: `png` (lossless), `jpg` or `webp`.
        quality: 1 to 100, of jpg (95 if None) and of webp (lossless if None); png has none.
    """

    image_format: str = "png"
    quality: int | None = None

    def resolved(self) -> Encoding:
        """With the format's own quality where none is given.

        Raises:
            ValueError: an unknown format, or a quality that it does not take.
        """
        if self.image_format not in IMAGE_FORMATS:
            raise ValueError(f"--format {self.image_format!r} is not known; choose one of {', '.join(IMAGE_FORMATS)}")
        if self.quality is not None and self.image_format == "png":
            raise ValueError(f"--quality {self.quality} is for jpg and webp; png is lossless")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"--quality must be between 1 and 100, not {self.quality}")
        default = JPEG_QUALITY if self.image_format == "jpg" else None
        return Encoding(self.image_format, default if self.quality is None else self.quality)


@dataclass(frozen=True)
class Chunk:
    """Some samples as they lie in a tar.

    Attributes:
        data: headers, images and padding.
        offsets: (n, V) int64, where each image begins in `data`.
        sizes: (n, V) int64, bytes of each image.
        crc32: (n, V) uint32, of each image's bytes.
        header_crc32: (n, V) uint32, of the tar header before each image.
    """

    data: bytes
    offsets: np.ndarray
    sizes: np.ndarray
    crc32: np.ndarray
    header_crc32: np.ndarray


def encode_chunk(first_index: int, images: np.ndarray, encoding: Encoding) -> Chunk:
    """Samples `first_index`, `first_index + 1`, ... as a piece of a tar."""
    n, views = images.shape[:2]
    files = _encode(images.reshape(n * views, *images.shape[2:]), encoding)
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
    return Chunk(b"".join(parts), offsets, sizes, crc32.astype(np.uint32), header_crc32.astype(np.uint32))


def _encode(images: np.ndarray, encoding: Encoding) -> list[bytes]:
    """Image files of images (N, 3, H, W)."""
    if encoding.image_format == "png":
        return encode_pngs(images)
    options: dict[str, object]
    if encoding.image_format == "jpg":
        # Colour at full resolution: at half, a 32-pixel image would have 16 x 16 colours.
        options = {"quality": encoding.quality, "subsampling": 0}
    elif encoding.quality is None:
        options = {"lossless": True, "exact": True}
    else:
        options = {"quality": encoding.quality}
    return [_save(image, IMAGE_FORMATS[encoding.image_format], options) for image in images.transpose(0, 2, 3, 1)]


def _save(image: np.ndarray, kind: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format=kind, **options)
    return buffer.getvalue()
