"""Encodes images as files: PNG, JPEG or WebP. Imports no torch, so that encoder processes start quickly."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .png import encode_pngs

IMAGE_FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
"""The formats that are written: the file name's extension, and Pillow's name."""

JPEG_QUALITY = 95
"""The quality of jpg if none is given. Ours."""


@dataclass(frozen=True)
class Encoding:
    """How images become files.

    Attributes:
        image_format: `png` (lossless), `jpg` or `webp`.
        quality: 1 to 100. None is 95 for jpg and lossless for webp. png takes none.
    """

    image_format: str = "png"
    quality: int | None = None

    def resolved(self) -> Encoding:
        """The same encoding with the format's default quality filled in.

        Raises:
            ValueError: the format is unknown, or does not take this quality.
        """
        if self.image_format not in IMAGE_FORMATS:
            raise ValueError(f"--format {self.image_format!r} is not known; choose one of {', '.join(IMAGE_FORMATS)}")
        if self.quality is not None and self.image_format == "png":
            raise ValueError(f"--quality {self.quality} is for jpg and webp; png is lossless")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"--quality must be between 1 and 100, not {self.quality}")
        default = JPEG_QUALITY if self.image_format == "jpg" else None
        return Encoding(self.image_format, default if self.quality is None else self.quality)


def encode_images(images: np.ndarray, encoding: Encoding) -> list[bytes]:
    """Encode images (N, 3, H, W) uint8 as files."""
    if encoding.image_format == "png":
        return encode_pngs(images)
    options: dict[str, object]
    if encoding.image_format == "jpg":
        # Colour at full resolution: at half of it, a 32-pixel image would have 16 x 16 colours.
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
