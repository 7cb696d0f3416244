"""Decodes image files of one format and size in bulk: the files that `encoding.py` writes, as shard sets hold them.

A decoder here leaves every unusual file to the general decoder (`decoding.py`), which gives the same pixels more
slowly. Before a file is decoded, its header is compared with the bytes that our encoders write, at the places where
they write them. So a file that lies about its size is not decompressed here.

Shapes: N files of S x S pixels.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import simplejpeg
import torch
from torch import Tensor
from torchvision.io import ImageReadMode  # also registers torch.ops.image

from .decoding import CHUNK, good_threads, run_in_threads
from .png import decode_pngs

Files: TypeAlias = Sequence[bytes | memoryview]
Decoded: TypeAlias = tuple[Tensor, np.ndarray]
"""Images (N, 3, S, S) uint8, and which of them are decoded (N,) bool. The others hold arbitrary values."""

_RGB = ImageReadMode.RGB.value
_JPEG_HEAD = 168  # bytes up to the end of the image's size in the frame header


def _decode_png(files: Files, size: int) -> Decoded:
    images, decoded = decode_pngs(files, size, size)
    return torch.from_numpy(images), decoded


def _decode_jpeg(files: Files, size: int) -> Decoded:
    """Files that begin with a JFIF header, two quantisation tables and a frame header (ITU-T T.81, B.2.2) of 8 bits and
    three components."""
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", size, size) + b"\x03"
    images = np.zeros((len(files), size, size, 3), dtype=np.uint8)
    decoded = np.zeros(len(files), dtype=bool)
    usual = b""  # the head of the last file that was accepted; the files of a set begin alike
    for i, file in enumerate(files):
        head = bytes(file[:_JPEG_HEAD])
        if head != usual:
            tables = head[20:25] == b"\xff\xdb\x00\x43\x00" and head[89:94] == b"\xff\xdb\x00\x43\x01"
            if not (head[:6] == b"\xff\xd8\xff\xe0\x00\x10" and tables and head[158:] == frame):
                continue
            usual = head
        with contextlib.suppress(ValueError):  # a damaged file: the general decoder raises the error that names it
            simplejpeg.decode_jpeg(file, buffer=images[i])
            decoded[i] = True
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), decoded


def _decode_webp(files: Files, size: int) -> Decoded:
    """Files of one chunk: lossy, or lossless without transparency (RFC 9649, sections 2.5 and 2.6)."""
    lossless = b"\x2f" + struct.pack("<I", (size - 1) | (size - 1) << 14) if size <= 1 << 14 else None
    lossy = b"\x9d\x01\x2a" + struct.pack("<HH", size, size)
    images = torch.zeros(len(files), 3, size, size, dtype=torch.uint8)
    decoded = np.zeros(len(files), dtype=bool)
    for i, file in enumerate(files):
        kind = file[12:16]
        if file[8:12] == b"WEBP" and (
            (kind == b"VP8L" and file[20:25] == lossless) or (kind == b"VP8 " and file[23:30] == lossy)
        ):
            with contextlib.suppress(RuntimeError):  # a damaged file, as above
                # A bytearray, since torch warns of buffers that are read-only. The operator is called directly,
                # as in `decoding`.
                data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
                images[i] = torch.ops.image.decode_webp(data, _RGB)
                decoded[i] = True
    return images, decoded


FAST_DECODERS: dict[str, Callable[[Files, int], Decoded]] = {
    "png": _decode_png,
    "jpg": _decode_jpeg,
    "webp": _decode_webp,
}
"""The decoders, by the format of a set (`png`, `jpg`, `webp`)."""


def decode_in_threads(image_format: str, files: Files, size: int, threads: int | None = None) -> Decoded:
    """What the decoder of a format makes of files, which are split over threads where images are large.

    Args:
        image_format: one of `FAST_DECODERS`.
        files: N files.
        size: pixels a side, S.
        threads: how many threads decode. None takes one thread if images are small, else one for each core of this
            process.
    """
    decode = FAST_DECODERS[image_format]
    threads = good_threads(size * size) if threads is None else threads
    if threads < 2 or len(files) < 2:
        return decode(files, size)
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    decoded = np.empty(len(files), dtype=bool)
    chunk = min(CHUNK, -(-len(files) // threads))

    def fill(start: int) -> None:
        part = slice(start, start + chunk)
        images[part], decoded[part] = decode(files[part], size)

    run_in_threads(fill, range(0, len(files), chunk), threads)
    return images, decoded
