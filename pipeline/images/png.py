"""PNG files that decode quickly in bulk: each row is filtered by Sub or Up only. Shard sets hold such files.

They are ordinary PNG files (W3C PNG, third edition): 8-bit RGB, one IDAT chunk. Sub and Up are running sums, which
NumPy undoes for a whole batch at once. PNG's other filters, Average and Paeth, depend on the pixel before *and* on the
row above, so that a decoder must go from pixel to pixel. Leaving them out costs about 2% in size on 32-pixel
photographs, and decoding takes less than half of the time. `decode_pngs` decodes no other PNG files.

libdeflate decompresses, in 60% of zlib's time for buffers of this size. zlib compresses, since the bytes of existing
sets come from it.

Shapes: N images, H x W pixels; a row is 1 filter byte and 3 W colour bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import deflate
import numpy as np

from .headers import PNG_SIGNATURE

_SUB, _UP = 1, 2
_LEVEL = 6  # zlib's default; 9 gains 0.1% on 32-pixel photographs
_IDAT_DATA = 41  # signature 8, IHDR 25, length and kind of IDAT 8


def encode_pngs(images: np.ndarray) -> list[bytes]:
    """Encode images (N, 3, H, W) uint8 as PNG files."""
    n, _, height, width = images.shape
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).reshape(n, height, 3 * width)
    head = PNG_SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    end = _chunk(b"IEND", b"")
    return [head + _chunk(b"IDAT", zlib.compress(rows, _LEVEL)) + end for rows in _filter(pixels)]


def decode_pngs(files: Sequence[bytes | memoryview], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode those of N files that are as `encode_pngs` writes them and of this size.

    Returns:
        Images (N, 3, H, W) uint8, and which of them are decoded (N,) bool. The others hold arbitrary values: their
        files are another kind of PNG, of another size, damaged, or no PNG. The general decoder tells which.
    """
    start = PNG_SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    length = height * (1 + 3 * width)
    unpacked = [_inflate(file, start, length) for file in files]
    nothing = bytes(length)
    # Joined rather than copied one by one: assigning to an array would take a sixth of the time of decompressing.
    joined = bytearray().join(nothing if data is None else data for data in unpacked)
    rows = np.frombuffer(joined, dtype=np.uint8).reshape(len(files), height, 1 + 3 * width)
    decoded = np.array([data is not None for data in unpacked], dtype=bool)
    filters = rows[:, :, 0]
    decoded &= ((filters == _SUB) | (filters == _UP)).all(axis=1)
    return _unfilter(rows), decoded


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _filter(pixels: np.ndarray) -> np.ndarray:
    """(N, H, 3W) -> (N, H, 1 + 3W): filter each row by whichever filter leaves smaller numbers (PNG, section 12.7)."""
    left, above = np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, :, 3:] = pixels[:, :, :-3]
    above[:, 1:] = pixels[:, :-1]
    by_sub, by_up = pixels - left, pixels - above
    up = _magnitude(by_up) < _magnitude(by_sub)  # (N, H)
    rows = np.empty((*pixels.shape[:2], 1 + pixels.shape[2]), dtype=np.uint8)
    rows[:, :, 0] = np.where(up, _UP, _SUB)
    rows[:, :, 1:] = np.where(up[..., None], by_up, by_sub)
    return rows


def _magnitude(rows: np.ndarray) -> np.ndarray:
    """The sum of the bytes' distances from 0, modulo 256."""
    return np.minimum(rows, -rows).sum(axis=-1, dtype=np.int64)


def _inflate(file: bytes | memoryview, start: bytes, length: int) -> bytearray | None:
    """The `length` bytes of rows in a file's one IDAT chunk; None if anything about the file is unusual."""
    if file[: len(start)] != start or file[37:_IDAT_DATA] != b"IDAT":
        return None
    end = _IDAT_DATA + int.from_bytes(file[33:37], "big")
    if end + 16 != len(file) or file[end + 8 : end + 12] != b"IEND":
        return None
    if deflate.crc32(file[37:end]) != int.from_bytes(file[end : end + 4], "big"):
        return None
    try:
        # Into at most `length` bytes, whatever is packed; libdeflate checks the Adler-32 of all pixels at the end.
        data = deflate.zlib_decompress(file[_IDAT_DATA:end], length)
    except deflate.DeflateError:
        return None
    return data if len(data) == length else None


def _unfilter(rows: np.ndarray) -> np.ndarray:
    """(N, H, 1 + 3W) -> (N, 3, H, W): undo the filters Sub and Up (PNG, section 9.2)."""
    n, height, length = rows.shape
    pixels = rows[:, :, 1:].copy()
    by_sub = np.flatnonzero(rows[:, :, 0].reshape(-1) == _SUB)
    pixels.reshape(n * height, length - 1)[by_sub] = _running_sum(pixels.reshape(n * height, length - 1)[by_sub])
    is_up = (rows[:, :, :1] == _UP).astype(np.uint8)  # (N, H, 1)
    for y in range(1, height):
        pixels[:, y] += pixels[:, y - 1] * is_up[:, y]
    return np.ascontiguousarray(pixels.reshape(n, height, length // 3, 3).transpose(0, 3, 1, 2))


def _running_sum(rows: np.ndarray) -> np.ndarray:
    """Running sums along each row, colour by colour, in log2(W) steps over the whole batch (Hillis and Steele 1986).

    This takes half the time of `np.cumsum`, which goes from number to number.
    """
    step = 3
    while step < rows.shape[1]:
        rows[:, step:] = rows[:, step:] + rows[:, :-step]
        step *= 2
    return rows
