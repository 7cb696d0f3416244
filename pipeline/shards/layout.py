"""Where everything lies in a shard set, down to the byte.

    SET/
        000000.tar  000001.tar ...    uncompressed USTAR: a header of 512 bytes, the image, zeros up to 512, and again
        .synthcl/
            shardset.json             see setfile.py
            000000.parquet ...        see sidecar.py; a shard counts only once this exists
            tables/NAME.parquet       scores that came later, see tables.py

A sample is one member `KEY.png`, or two adjacent ones `KEY.view0.png`, `KEY.view1.png` for a pair. KEY is the sample's
index. A header depends on nothing but its member's name and size, members follow each other without gaps and there is
nothing else in a tar, so a shard's bytes are a function of its images.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

BLOCK = 512
RECORD = 10_240
"""Tars end in zeros up to a multiple of this, as tar itself writes them (POSIX pax: twenty blocks a record)."""

HIDDEN = ".synthcl"
SIDECAR_SUFFIX = ".parquet"
TABLES = "tables"
KEY_DIGITS = 10
SHARD_DIGITS = 6


def sample_key(index: int) -> str:
    """The KEY of sample `index`: of one width for all, so that names sort like numbers."""
    return f"{index:0{KEY_DIGITS}d}"


def shard_name(number: int) -> str:
    """The file name of shard `number`."""
    return f"{number:0{SHARD_DIGITS}d}.tar"


def sidecar_path(directory: Path, shard: str) -> Path:
    """The sidecar of the shard of that file name."""
    return directory / HIDDEN / (shard.removesuffix(".tar") + SIDECAR_SUFFIX)


def set_file(directory: Path) -> Path:
    """The set's index."""
    return directory / HIDDEN / "shardset.json"


def member_extensions(views_per_sample: int, image_format: str) -> list[str]:
    """What follows KEY in the names of a sample's members."""
    if views_per_sample == 1:
        return [f".{image_format}"]
    return [f".view{view}.{image_format}" for view in range(views_per_sample)]


def member_header(name: str, size: int) -> bytes:
    """The 512 bytes before a member: USTAR, time 0, owner 0, mode 0644."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def padding(size: int) -> int:
    """How many zeros follow a member of `size` bytes."""
    return -size % BLOCK


def end_marker(length: int) -> bytes:
    """What ends a tar whose members take `length` bytes: two blocks of zeros, and zeros up to a whole record."""
    return bytes(2 * BLOCK + -(length + 2 * BLOCK) % RECORD)


def num_shards(num_samples: int, samples_per_shard: int) -> int:
    """How many shards a set has."""
    return -(-num_samples // samples_per_shard)


def shard_samples(number: int, num_samples: int, samples_per_shard: int) -> range:
    """The samples in shard `number`."""
    first = number * samples_per_shard
    return range(first, min(first + samples_per_shard, num_samples))
