"""The layout of a shard set: its files and the bytes of its tars.

    SET/
        000000.tar  000001.tar ...    uncompressed USTAR: each image's header of 512 bytes, file, and zeros up to 512
        .synthcl/
            shardset.json             the manifest, see manifest.py
            000000.parquet ...        the sidecar of 000000.tar, see sidecar.py; a shard counts only once it has one
            tables/NAME.parquet       side tables: what was computed about the samples later, see side_tables.py

A sample is one member `KEY.png`, or, where it has several images, adjacent members `KEY.view0.png`, `KEY.view1.png` and
so on. KEY is the sample's index. Where the set has them, `KEY.cls` (its class, a number) and `KEY.txt` (its prompt)
follow. A header depends only on its member's name and size, members follow each other without gaps, and a tar
holds nothing else. So a shard's bytes are a function of its images.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from ..data.tarindex import BLOCK

RECORD = 10_240
"""Zeros fill a tar up to a multiple of this many bytes, as tar itself writes it (POSIX pax: twenty blocks a record)."""

HIDDEN = ".synthcl"
MANIFEST = f"{HIDDEN}/shardset.json"
SIDECAR_SUFFIX = ".parquet"
TABLES = "tables"
KEY_DIGITS = 10
SHARD_DIGITS = 6


def sample_key(index: int) -> str:
    """The KEY of sample `index`. All keys have the same width, so that names sort like numbers."""
    return f"{index:0{KEY_DIGITS}d}"


def shard_name(number: int) -> str:
    """The file name of shard `number`."""
    return f"{number:0{SHARD_DIGITS}d}.tar"


def shard_number(name: str) -> int:
    """The number of the shard with that file name, which `shard_name` gave."""
    return int(name.removesuffix(".tar"))


def sidecar_name(shard: str) -> str:
    """The name in the set of the sidecar of the shard with that file name."""
    return f"{HIDDEN}/{shard.removesuffix('.tar')}{SIDECAR_SUFFIX}"


def sidecar_path(directory: Path, shard: str) -> Path:
    """The path of the sidecar of the shard with that file name."""
    return directory / sidecar_name(shard)


def manifest_path(directory: Path) -> Path:
    """The path of a set's manifest."""
    return directory / MANIFEST


def member_extensions(views_per_sample: int, image_format: str) -> list[str]:
    """What follows KEY in the names of a sample's members: `.png`, or `.view0.png` and `.view1.png`."""
    if views_per_sample == 1:
        return [f".{image_format}"]
    return [f".view{view}.{image_format}" for view in range(views_per_sample)]


LABEL_COLUMNS = {"cls": "class", "txt": "prompt"}
"""What members beside the images hold, by extension: the column of the sidecar with the same values."""


def member_header(name: str, size: int) -> bytes:
    """The 512 bytes before a member's content: a USTAR header with time 0, owner 0 and mode 0644."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def padding(size: int) -> int:
    """How many zeros follow a member's `size` bytes."""
    return -size % BLOCK


def end_marker(length: int) -> bytes:
    """The end of a tar whose members take `length` bytes: two blocks of zeros, then zeros up to a whole record."""
    return bytes(2 * BLOCK + -(length + 2 * BLOCK) % RECORD)


def num_shards(num_samples: int, samples_per_shard: int) -> int:
    """How many shards a set of `num_samples` has."""
    return -(-num_samples // samples_per_shard)


def shard_samples(number: int, num_samples: int, samples_per_shard: int) -> range:
    """The indices of the samples in shard `number`."""
    first = number * samples_per_shard
    return range(first, min(first + samples_per_shard, num_samples))
