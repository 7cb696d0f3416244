"""Where the files of a tar lie: one pass over its headers, for reading by offset.

Nothing is extracted, links are not followed, and every number in a header is checked before it is used: Python's own
tarfile can run in circles on a negative size (CVE-2025-8194), and takes a tar that was cut short for a shorter one.
Formats: ustar, GNU long names and PAX paths and sizes (POSIX.1-2017, pax, "ustar Interchange Format").
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError

BLOCK = 512
_FILES = (b"0", b"\0", b"7")
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
_FOLDER = b"5"
_MAX_NOTE_BYTES = 1 << 20  # ours: an extended header holds a name or a few numbers
_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK = b"x", b"g", b"L", b"K"


class Member(NamedTuple):
    """A regular file in a tar."""

    name: str
    offset: int
    """Where its bytes begin in the tar."""
    size: int


def index_tar(path: Path, *, strict: bool = False) -> list[Member]:
    """The regular files of an uncompressed tar, in order.

    Args:
        path: of the tar.
        strict: refuse tars that hold links or devices, which are otherwise passed over.

    Raises:
        DataError: no tar, a damaged header, a tar that is cut short (also where it lacks the mark of its end).
    """
    return list(iterate_tar(path, strict=strict))


def iterate_tar(path: Path, *, strict: bool = False) -> Iterator[Member]:
    """`index_tar`, one file at a time, for those who want the first few only."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _members(data, path, strict)
    except DataError:
        raise
    except ValueError as error:  # mmap of nothing
        raise DataError(f"{path} is empty: a tar ends with at least two blocks of zeros") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _members(data: mmap.mmap, path: Path, strict: bool) -> Iterator[Member]:
    position, number = 0, 0
    pax: dict[str, str] = {}  # for the next member
    common: dict[str, str] = {}  # for all that follow
    while True:
        header = data[position : position + BLOCK]
        if len(header) < BLOCK:
            raise DataError(f"{path} is cut short: it stops after {number} members without the mark of its end")
        if not any(header):
            return
        where = f"member {number} of {path} (at byte {position})"
        _check_sum(header, where)
        kind, size = header[156:157], _size(header[124:136], where)
        if "size" in pax and kind in _FILES:
            size = _pax_size(pax["size"], where)
        content = position + BLOCK
        if kind in _WITHOUT_DATA:
            size = 0
        if content + size > len(data):
            raise DataError(f"{path} is cut short: {where} should have {size} bytes, {len(data) - content} are there")
        position = content + -(-size // BLOCK) * BLOCK
        if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME) and size > _MAX_NOTE_BYTES:
            raise DataError(f"the extended header of {where} is damaged ({size:,} bytes)")
        if kind == _PAX:
            pax = _records(data[content : content + size], where)
        elif kind == _PAX_GLOBAL:
            common |= _records(data[content : content + size], where)
        elif kind == _GNU_NAME:
            pax["path"] = data[content : content + size].split(b"\0")[0].decode("utf-8", "surrogateescape")
        elif kind in _FILES:
            yield Member((common | pax).get("path") or _name(header), content, size)
            number, pax = number + 1, {}
        elif kind in _WITHOUT_DATA:
            if strict and kind != _FOLDER:
                raise DataError(f"{where} is a link or a device ({_name(header)!r}): repack the tar with plain files")
            number, pax = number + 1, {}
        elif kind != _GNU_LINK:
            raise DataError(f"{where} is of a kind that is not read here ({kind!r}): repack the tar with plain files")


def _check_sum(header: bytes, where: str) -> None:
    """The sum of the header's bytes, its own field counted as blanks."""
    told = header[148:156].split(b"\0")[0].strip()
    if not told or any(c not in b"01234567" for c in told):
        raise DataError(f"the header of {where} is damaged, or this is no uncompressed tar")
    if int(told, 8) != sum(header) - sum(header[148:156]) + 8 * 32:
        raise DataError(f"the header of {where} is damaged (wrong checksum)")


def _size(field: bytes, where: str) -> int:
    """Octal text, or GNU's base 256 where the first bit is set."""
    if field[0] & 0x80:
        size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1  # the other first bytes are negative sizes
    else:
        digits = field.split(b"\0")[0].strip()
        size = int(digits or b"0", 8) if all(c in b"01234567" for c in digits) else -1
    if size < 0:
        raise DataError(f"the header of {where} is damaged (size {field!r})")
    return size


def _records(content: bytes, where: str) -> dict[str, str]:
    """PAX records: `LENGTH KEY=VALUE\\n`, where the length counts all of the record."""
    records: dict[str, str] = {}
    while content and content[0]:
        digits, blank, _ = content[:24].partition(b" ")
        length = int(digits) if blank and digits.isdigit() else 0
        key, equals, value = content[len(digits) + 1 : length - 1].partition(b"=")
        if not equals or length > len(content):
            raise DataError(f"the extended header of {where} is damaged")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[length:]
    return records


def _pax_size(value: str, where: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise DataError(f"the extended header of {where} is damaged (size {value!r})")
    return int(value)


def _name(header: bytes) -> str:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    if prefix and header[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return name.decode("utf-8", "surrogateescape")
