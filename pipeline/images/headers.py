"""Reads the headers of JPEG, PNG and WebP files: format, size, and whether the fast decoder may take the file.

The header is read before any pixel is decoded, so that a small file that claims to be enormous is refused and not
unpacked. Pillow reads the headers of all other formats.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # markers between C0 and CF that are no start of frame: DHT, JPG, DAC
_NO_LENGTH = (0x01, *range(0xD0, 0xD9))  # TEM, RST0-7 and SOI stand alone


class Header(NamedTuple):
    """What a file's header says."""

    format: str
    width: int
    height: int
    simple: bool
    """Whether the file is 8-bit RGB or gray without transparency and EXIF, so that the fast decoder may take it."""


def read_header(data: bytes | memoryview) -> Header | None:
    """The header of a JPEG, PNG or WebP file; None for any other format.

    Raises:
        ValueError: the header of a file of these formats is damaged or cut short.
    """
    start = bytes(data[:32])
    try:
        if start[:3] == b"\xff\xd8\xff":
            return _read_jpeg(data)
        if start[:8] == PNG_SIGNATURE:
            return _read_png(start)
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return _read_webp(start)
    except (struct.error, IndexError) as error:
        raise ValueError("its header is cut short") from error
    return None


def _read_png(start: bytes) -> Header:
    """The header chunk comes first (W3C PNG, section 11.2.1). Never simple: see `decoding.py`."""
    width, height = struct.unpack_from(">II", start, 16)
    return Header("PNG", width, height, simple=False)


def _read_jpeg(data: bytes | memoryview) -> Header:
    """Walk the marker segments up to the start of frame (ITU-T T.81, annex B)."""
    position, exif = 2, False
    while True:
        if data[position] != 0xFF:
            raise ValueError("its JPEG header is damaged")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _NO_LENGTH:
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            return Header("JPEG", width, height, simple=bits == 8 and components in (1, 3) and not exif)
        else:
            exif = exif or (marker == 0xE1 and bytes(data[position + 4 : position + 8]) == b"Exif")
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]


def _read_webp(start: bytes) -> Header:
    """The three kinds of first chunk (RFC 9649, sections 2.5 to 2.7): lossy, lossless and extended."""
    kind = start[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", start, 26)
        return Header("WEBP", width & 0x3FFF, height & 0x3FFF, simple=True)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, simple=not bits >> 28 & 1)
    if kind == b"VP8X":
        width, height = (int.from_bytes(start[i : i + 3], "little") + 1 for i in (24, 27))
        return Header("WEBP", width, height, simple=False)
    raise ValueError("its WebP header is damaged")


def check_png(data: bytes | memoryview) -> None:
    """Check the length and the CRC-32 of each chunk of a PNG file, up to the end chunk.

    Pillow does not when it decodes: it takes a PNG file that is cut short after its last pixel, or whose pixels were
    altered. Its `Image.verify` checks all but the end chunk, in six times the time at 32 pixels a side.

    Raises:
        ValueError: a chunk is damaged, or the file stops before its end chunk.
    """
    position, view = 8, memoryview(data)
    while position + 12 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, position)
        end = position + 8 + length
        if end + 4 > len(view):
            break
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", view, end)[0]:
            raise ValueError(f"its {kind.decode('latin-1')} chunk is damaged (wrong checksum)")
        if kind == b"IEND":
            return
        position = end + 4
    raise ValueError("it is cut short (truncated PNG)")
