"""Verifies a set (`shards verify`): every checksum, every count and every key."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import file_sha256
from ..images.decoding import SAFE_FORMATS, decode_images
from .layout import HIDDEN, LABEL_COLUMNS, sample_key, shard_number, sidecar_name, sidecar_path
from .manifest import Manifest, ShardEntry, read_manifest
from .readable import open_plain
from .reader import read_checked
from .scan import scan_tar
from .sidecar import Places, label_files, member_names, read_places, read_table
from .status import published_shards
from .writable import WritableSet, open_writable

_MOST_ERRORS = 100
"""How many errors of one shard are listed. Ours: a shard can be damaged in ten thousand places."""


@dataclass(frozen=True)
class Problem:
    """Something wrong.

    Attributes:
        shard, key: in which shard and with which sample; either may be None.
        error: what.
        num_samples: how many samples it costs; None for all of the shard.
    """

    shard: str | None
    key: str | None
    error: str
    num_samples: int | None = None


@dataclass
class Verification:
    """What `verify_shard_set` found.

    Attributes:
        num_samples: how many samples are sound.
        errors: what is wrong.
    """

    num_samples: int = 0
    errors: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {"ok": self.ok, "num_samples": self.num_samples, "errors": [asdict(error) for error in self.errors]}


def verify_shard_set(
    directory: str | Path, *, decode: bool = False, progress: Callable[[int, int], None] | None = None
) -> Verification:
    """Check a whole set: its manifest, its sidecars, its tars, and each image in them.

    Args:
        directory: the set's folder or URL. From a URL every file is fetched anew, one shard at a time.
        decode: decode every image too.
        progress: called with the shards done and their number.

    Raises:
        UsageError: a URL of a kind that cannot be listed.
        DataError: there is no such folder, or it cannot be reached.
    """
    files = open_writable(directory)
    if isinstance(files.path, Path) and not files.path.is_dir():
        raise DataError(f"there is no folder {files.path}")
    report = Verification()
    try:
        manifest = read_manifest(files)
        shards = list(manifest.shards) or published_shards(files)
    except DataError as error:
        report.errors.append(Problem(None, None, str(error)))
        return report
    if not manifest.complete:
        text = (
            f"{files.path} is not complete: {len(shards)} shards of it are there; run the command that writes it again"
        )
        report.errors.append(Problem(None, None, text))
    report.errors += _strays(files, shards)
    first = 0
    hashes: list[np.ndarray] = []
    for number, shard in enumerate(shards):
        if not manifest.complete and manifest.samples_per_shard is not None:
            first = shard_number(shard.name) * manifest.samples_per_shard  # those before it may not be there yet
        with files.here((shard.name, sidecar_name(shard.name))) as folder:
            found = list(_verify_shard(folder, shard, manifest, first, hashes, decode))
        problems = [replace(one, error=one.error.replace(str(folder), str(files.path))) for one in found]
        lost = sum(shard.num_samples if p.num_samples is None else p.num_samples for p in problems)
        report.num_samples += max(0, shard.num_samples - lost)
        report.errors += problems[:_MOST_ERRORS]
        if len(problems) > _MOST_ERRORS:
            more = len(problems) - _MOST_ERRORS
            report.errors.append(Problem(shard.name, None, f"and {more:,} more in this shard", more))
        first += shard.num_samples
        if progress is not None:
            progress(number + 1, len(shards))
    if hashes and len(np.unique(np.concatenate(hashes))) < sum(map(len, hashes)):
        report.errors.append(Problem(None, None, "a key occurs in two shards"))
    return report


def _strays(files: WritableSet, shards: list[ShardEntry]) -> Iterator[Problem]:
    """Tars and sidecars that belong to no shard of the set."""
    known = {shard.name for shard in shards}
    sidecars = {Path(sidecar_name(name)).name for name in known}
    for name in sorted(files.sizes()):
        if name.endswith(".tar") and name not in known:
            yield Problem(name, None, f"{files.place(name)} is not in the set's manifest")
    for name in sorted(files.sizes(HIDDEN)):
        if name.endswith(".parquet") and name not in sidecars and name != "recording.parquet":
            yield Problem(None, None, f"{files.place(f'{HIDDEN}/{name}')} belongs to no shard of the set's manifest")


def _verify_shard(
    directory: Path, shard: ShardEntry, manifest: Manifest, first: int, hashes: list[np.ndarray], decode: bool
) -> Iterator[Problem]:
    tar, sidecar = directory / shard.name, sidecar_path(directory, shard.name)
    try:
        places = read_places(sidecar, shard, manifest)
        keys = _read_keys(sidecar, shard, manifest, first)
        labels = _read_labels(sidecar, shard, manifest)
        hashes.append(np.fromiter(map(hash, keys), dtype=np.int64, count=len(keys)))
    except DataError as error:
        yield Problem(shard.name, None, str(error))
        yield from _verify_tar(tar, shard, None)
        return
    damaged = False
    for problem in _verify_images(tar, shard, manifest, places, keys, labels, decode):
        damaged = True
        yield problem
    for problem in _verify_tar(tar, shard, None if damaged else keys):
        # If images are damaged, the tar's checksum tells nothing more.
        if not damaged:
            yield problem


def _read_keys(sidecar: Path, shard: ShardEntry, manifest: Manifest, first: int) -> list[str]:
    """Read the keys in a sidecar, and check that its rows are those of the shard's samples."""
    table = read_table(sidecar, ["key", "shard", "sample_index"], num_rows=shard.num_samples)
    if table["sample_index"].to_pylist() != list(range(first, first + len(table))):
        raise DataError(f"{sidecar} is not sound: its samples are not numbered from {first:,} on")
    if set(table["shard"].to_pylist()) - {shard.name}:
        raise DataError(f"{sidecar} is not sound: its rows belong to another shard")
    keys = table["key"].to_pylist()
    if manifest.kind != "adopted" and keys != [sample_key(first + i) for i in range(len(keys))]:
        raise DataError(f"{sidecar} is not sound: its keys are not those of its samples")
    return keys


def _read_labels(sidecar: Path, shard: ShardEntry, manifest: Manifest) -> dict[str, list[bytes]]:
    """What the members beside the images must hold, by extension."""
    if not manifest.labels:
        return {}
    names = [LABEL_COLUMNS[name] for name in manifest.labels]
    table = read_table(sidecar, names, num_rows=shard.num_samples)
    return {name: label_files(table[LABEL_COLUMNS[name]].combine_chunks()) for name in manifest.labels}


def _verify_images(
    tar: Path,
    shard: ShardEntry,
    manifest: Manifest,
    places: Places,
    keys: list[str],
    labels: dict[str, list[bytes]],
    decode: bool,
) -> Iterator[Problem]:
    """Each member against the checksums in the sidecar; a sample with several that are damaged is named once, and those
    that a tar has lost at its end are counted."""
    try:
        descriptor = open_plain(tar)
    except DataError as error:
        yield Problem(shard.name, None, str(error))
        return
    try:
        length = os.fstat(descriptor).st_size
        cut = ((places.offsets + places.sizes) > length).any(axis=1)
        if cut.any():
            text = (
                f"{tar} is cut short, to {length:,} of {shard.size:,} bytes: {cut.sum():,} of its {len(keys):,} samples"
            )
            yield Problem(
                shard.name, None, f"{text} are lost, the first of them {keys[cut.argmax()]!r}", int(cut.sum())
            )
        members = member_names(manifest.views_per_sample, manifest.labels)
        everything = [places.at(np.arange(len(keys)), number) for number in range(len(members))]
        for row in np.flatnonzero(~cut).tolist():
            key = keys[row]
            for member, columns in zip(members, everything, strict=True):
                file = read_checked(descriptor, *(column[row] for column in columns))
                if isinstance(file, str):
                    wrong: str | None = f"sample {key!r} {file}"
                elif member in labels:
                    wrong = (
                        None if file == labels[member][row] else f"sample {key!r}: KEY.{member} is not its sidecar's"
                    )
                else:
                    wrong = _decoding_error(file, manifest, decode)
                if wrong is not None:
                    yield Problem(shard.name, key, wrong, 1)
                    break
    finally:
        os.close(descriptor)


def _decoding_error(file: memoryview, manifest: Manifest, decode: bool) -> str | None:
    if not decode:
        return None
    try:
        images = decode_images([file], formats=SAFE_FORMATS)
    except DataError as error:
        return str(error)
    size = manifest.image_size
    if size is not None and tuple(images.shape[2:]) != (size, size):
        return f"it is {images.shape[3]} x {images.shape[2]} pixels, and the set's images are {size} x {size}"
    return None


def _verify_tar(tar: Path, shard: ShardEntry, keys: list[str] | None) -> Iterator[Problem]:
    """Check a tar as other readers read it: from header to header it must hold the sidecar's keys and nothing else."""
    try:
        if not tar.is_file() or tar.stat().st_size != shard.size:
            found = f"has {tar.stat().st_size:,} bytes instead of {shard.size:,}" if tar.is_file() else "is missing"
            yield Problem(shard.name, None, f"{tar} {found}")
        if not tar.is_file():
            return
        samples = scan_tar(tar)
    except DataError as error:
        yield Problem(shard.name, None, str(error))
        return
    if keys is not None and [sample.key for sample in samples] != keys:
        yield Problem(shard.name, None, f"the keys in {tar} are not those in its sidecar")
    if file_sha256(tar) != shard.sha256:
        yield Problem(shard.name, None, f"{tar} is damaged: its checksum is not the one in the set's manifest")
