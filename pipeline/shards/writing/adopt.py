"""Makes sets of tars without a manifest: adopts tars from elsewhere, or makes lost sidecars of a set again.

It reads every tar once, from the first header to the end, and then writes sidecars and a manifest. From then on the set
opens like any other. The tars stay as they are. Nothing is written before all tars are found sound, so that a set that
was there stays usable if one is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...errors import DataError, UsageError
from ...files import file_sha256
from ..layout import HIDDEN, manifest_path, sample_key, sidecar_path
from ..manifest import Manifest, Recipe, read_manifest
from ..network import is_url
from ..publish import PartLock, TemporaryFile, disk_errors
from ..scan import ScannedSample, scan_tar
from ..sidecar import TarFacts, build_table, write_sidecar
from ..status import ShardSetInfo, entry_of_sidecar, set_info
from ..writable import LocalWritableSet
from .found_sidecars import FoundSidecars
from .set_writer import Report, made_with


def index_shards(directory: str | Path, *, progress: Report | None = None) -> ShardSetInfo:
    """Make the manifest and the sidecars of a folder of tars, or the lost sidecars of a set that synthcl generated.

    Of a set whose manifest was lost, the sidecars are kept with all their columns, and the manifest is made around
    them. The set is then an adopted one: of its recipe the sidecars know the hash alone, so no command continues it,
    and its side tables must be made again.

    Args:
        directory: the folder. Its tars must lie in it and not below it.
        progress: is called with how many tars are done, and how many there are.

    Raises:
        UsageError: a URL.
        DataError: there are no tars; or a tar is damaged, or holds members that shard sets do not hold; or a key occurs
            twice; or sidecars hold columns that others lack, or, where the manifest was lost, do not fit their tars; or
            the set is a recording, whose columns cannot be made again; or the set was generated, and its tars are not
            what its manifest says, or there are others.
    """
    if is_url(directory):
        raise UsageError(f"{directory}: tars are indexed in a folder of this machine; index a copy, then upload it")
    directory = Path(directory)
    tars = sorted(path for path in directory.glob("*.tar")) if directory.is_dir() else []
    if not tars:
        raise DataError(f"{directory} has no tars to index; give a folder with *.tar files")
    with disk_errors(directory):
        (directory / HIDDEN).mkdir(exist_ok=True)
    with PartLock(directory) as lock:
        found = read_manifest(directory) if manifest_path(directory).exists() else None
        if found is not None and found.kind != "adopted":
            return _rebuild(directory, tars, found, lock, progress)
        return _adopt(directory, tars, found, lock, progress)


def _adopt(
    directory: Path, tars: Sequence[Path], before: Manifest | None, lock: PartLock, progress: Report | None
) -> ShardSetInfo:
    """Index tars from elsewhere, or of a set that has lost its manifest. A folder that was adopted `before` may have
    other tars than then."""
    sums = [(tar.name, file_sha256(tar)) for tar in tars]
    recipe = Recipe({"adopted": hashlib.sha256(repr(sums).encode()).hexdigest()})
    facts: list[tuple[int, set[str], set[tuple[int, int]]]] = []
    seen: list[np.ndarray] = []
    sidecars: dict[str, bytes] = {}
    places: dict[str, tuple[int, TarFacts]] = {}
    labelled: set[str] = set()
    there = FoundSidecars(directory)
    first = 0
    for number, (tar, (_, sha256)) in enumerate(zip(tars, sums, strict=True)):
        samples = scan_tar(tar)
        facts.append(_facts(samples, tar))
        if facts[-1][0] != facts[0][0]:
            raise DataError(
                f"{directory} mixes samples of different numbers of images; the samples of a set have equally many"
            )
        seen.append(np.fromiter((hash(sample.key) for sample in samples), dtype=np.int64, count=len(samples)))
        size = _common_size(facts) or 0
        place = TarFacts(tar.name, recipe.hash, tar.stat().st_size, sha256, size, facts[0][0])
        places[tar.name] = first, place
        labelled |= {tar.name for sample in samples if sample.label is not None}
        sidecars[tar.name] = there.sidecar(_table(samples, first, None, tar.name), place)
        first += len(samples)
        if progress is not None:
            progress(number + 1, len(tars))
    _check_unique(directory, tars, np.concatenate(seen))
    for tar in tars if labelled else ():
        if tar.name not in labelled:  # a column is one of all sidecars; here it has no values
            start, place = places[tar.name]
            sidecars[tar.name] = there.sidecar(_table(scan_tar(tar), start, None, tar.name, labels=True), place)
    there.check(manifest_lost=before is None)
    formats = set().union(*(formats for _, formats, _ in facts))
    manifest = Manifest(
        kind="adopted",
        recipe=recipe,
        num_samples=first,
        samples_per_shard=None,
        views_per_sample=facts[0][0],
        image_size=_common_size(facts),
        image_format={"jpeg": "jpg"}.get(min(formats), min(formats)) if len(formats) == 1 else None,
        complete=True,
        made_with=made_with(),
    )
    manifest = _publish(directory, manifest, sidecars, lock)
    for shard in () if before is None else before.shards:
        if not (directory / shard.name).exists():
            sidecar_path(directory, shard.name).unlink(missing_ok=True)
    return set_info(directory, manifest)


def _rebuild(
    directory: Path, tars: Sequence[Path], found: Manifest, lock: PartLock, progress: Report | None
) -> ShardSetInfo:
    """Make the sidecars of a generated set again, from tars that are still what its manifest says."""
    if found.kind == "recorded":
        raise DataError(
            f"{directory} is a recording: steps and hardness were in its sidecars alone and cannot be made again; "
            f"move {HIDDEN} away to adopt its tars as plain images"
        )
    if not found.complete:
        raise DataError(f"{directory} is not complete: run the command that writes it again")
    if others := sorted({tar.name for tar in tars} - {shard.name for shard in found.shards}):
        raise DataError(
            f"{directory / others[0]} is not in the set's manifest, and a generated set takes no tars from elsewhere: "
            "move it away"
        )
    if columns := found.recipe.values.get("columns"):
        raise DataError(
            f"{directory} had {', '.join(columns)} of its samples in its sidecars alone, and they cannot be made again "
            f"from the tars; generate the set anew in another folder, or move {HIDDEN} away to adopt its tars as images"
        )
    seed = found.recipe.values.get("seed")
    sidecars: dict[str, bytes] = {}
    first = 0
    for number, shard in enumerate(found.shards):
        tar = directory / shard.name
        if not tar.is_file() or file_sha256(tar) != shard.sha256:
            raise DataError(f"{tar} is missing or damaged: its checksum is not that of the set's manifest")
        samples = scan_tar(tar)
        facts = TarFacts(
            shard.name, found.recipe.hash, shard.size, shard.sha256, found.image_size or 0, found.views_per_sample
        )
        sidecars[shard.name] = write_sidecar(_table(samples, first, seed, shard.name), facts)
        first += len(samples)
        if progress is not None:
            progress(number + 1, len(found.shards))
    return set_info(directory, _publish(directory, found, sidecars, lock))


def _table(
    samples: Sequence[ScannedSample], first: int, seed: int | None, shard: str, *, labels: bool = False
) -> pa.Table:
    """The rows of the sidecar of a tar that was scanned, with a column of labels where there are any or it is asked
    for."""
    places = {
        name: np.array([[getattr(image, name) for image in sample.images] for sample in samples], dtype=np.int64)
        for name in ("offset", "size", "crc32", "header_crc32")
    }
    table = build_table(shard, first, seed, places)
    keys = [sample.key for sample in samples]
    if keys != [sample_key(first + i) for i in range(len(samples))]:
        table = table.set_column(0, "key", pa.array(keys, pa.string()))
    if labels or any(sample.label is not None for sample in samples):
        table = table.append_column("label", pa.array([sample.label for sample in samples], pa.string()))
    return table


def _publish(directory: Path, manifest: Manifest, sidecars: Mapping[str, bytes], lock: PartLock) -> Manifest:
    """Publish sidecars, by the names of their tars, and then the manifest with them.

    All sidecars are on disk before the first gets its name, so that a full disk changes nothing. A kill between two
    names leaves sidecars that are not those of the manifest that was there; indexing again mends that.
    """
    with disk_errors(directory), ExitStack() as stack:
        written: list[tuple[TemporaryFile, Path]] = []
        for name, data in sidecars.items():
            path = sidecar_path(directory, name)
            file = stack.enter_context(TemporaryFile(lock.temporary(path.name)))
            file.write(data)
            file.finish()
            written.append((file, path))
        for file, path in written:
            file.publish(path, replace=True)
        entries = (entry_of_sidecar(data, str(sidecar_path(directory, name)))[0] for name, data in sidecars.items())
        manifest = replace(manifest, shards=tuple(entries))
        manifest.publish(LocalWritableSet(directory), lock, replace=True)
    return manifest


def _facts(samples: Sequence[ScannedSample], tar: Path) -> tuple[int, set[str], set[tuple[int, int]]]:
    """How many images a sample of a tar has, and the images' formats and sizes."""
    views = {len(sample.images) for sample in samples}
    if len(views) > 1:
        raise DataError(f"{tar} mixes samples of different numbers of images; the samples of a set have equally many")
    images = [image for sample in samples for image in sample.images]
    return views.pop(), {image.extension for image in images}, {image.dimensions for image in images}


def _common_size(facts: Sequence[tuple[int, set[str], set[tuple[int, int]]]]) -> int | None:
    """The images' size in pixels if all are squares of one size, else None."""
    sizes = set().union(*(sizes for _, _, sizes in facts))
    width, height = next(iter(sizes))
    return width if len(sizes) == 1 and width == height else None


def _check_unique(directory: Path, tars: Sequence[Path], hashes: np.ndarray) -> None:
    values, counts = np.unique(hashes, return_counts=True)
    if (counts == 1).all():
        return
    twice = set(values[counts > 1].tolist())
    places: dict[str, Path] = {}
    for tar in tars:
        for sample in scan_tar(tar):
            if hash(sample.key) in twice and places.setdefault(sample.key, tar) != tar:
                raise DataError(
                    f"the key {sample.key!r} is in {places[sample.key].name} and again in {tar.name} of {directory}; "
                    f"keys are unique in a set"
                )
