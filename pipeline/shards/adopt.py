"""Taking in what has no index: someone else's tars, or a set of ours whose sidecars were lost.

Every tar is read once, from its first header to its end; what is found goes into sidecars and a `shardset.json`, and
from then on the set opens like any other. The tars are not touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..errors import DataError
from .finish import ShardSetInfo, describe, index_entry
from .layout import HIDDEN, SIDECAR_SUFFIX, sample_key, set_file, sidecar_path
from .locks import PartLock
from .publish import TemporaryFile, disk_errors, file_sha256
from .recipe import Recipe
from .scan import ScannedSample, scan_tar
from .setfile import SetFile, read_set_file
from .sidecar import TarFacts, build_table, write_sidecar
from .writer import made_with

Report = Callable[[int, int], None]


def index_shards(directory: str | Path, *, progress: Report | None = None) -> ShardSetInfo:
    """Make the index of a folder of tars, or the lost sidecars of a set that synthcl generated.

    Args:
        directory: the folder. Its tars must lie in it and not below.
        progress: called with the tars done and their number.

    Raises:
        DataError: no tars; a tar that is damaged or holds what shard sets do not hold; one key twice; a recording,
            whose columns cannot be made again; a set of ours whose tars are not what its index says.
    """
    directory = Path(directory)
    tars = sorted(path for path in directory.glob("*.tar")) if directory.is_dir() else []
    if not tars:
        raise DataError(f"{directory} has no tars to index; give a folder with *.tar files")
    with disk_errors(directory):
        (directory / HIDDEN).mkdir(exist_ok=True)
    with PartLock(directory) as lock:
        if set_file(directory).exists():
            found = read_set_file(directory)
            if found.kind != "adopted":
                return _rebuild(directory, found, lock, progress)
        return _adopt(directory, tars, lock, progress)


def _adopt(directory: Path, tars: Sequence[Path], lock: PartLock, progress: Report | None) -> ShardSetInfo:
    """Index the tars of others. Adopted again, a folder may have more tars than before."""
    sums = [(tar.name, file_sha256(tar)) for tar in tars]
    recipe = Recipe({"adopted": hashlib.sha256(repr(sums).encode()).hexdigest()})
    facts: list[tuple[int, set[str], set[tuple[int, int]]]] = []
    seen: list[np.ndarray] = []
    first = 0
    for number, (tar, (_, sha256)) in enumerate(zip(tars, sums, strict=True)):
        samples = scan_tar(tar)
        facts.append(_facts(samples, tar))
        if facts[-1][0] != facts[0][0]:
            raise DataError(f"{directory} mixes single images and pairs; a set holds one kind")
        seen.append(np.fromiter((hash(sample.key) for sample in samples), dtype=np.int64, count=len(samples)))
        size = _common_size(facts) or 0
        place = TarFacts(tar.name, recipe.hash, tar.stat().st_size, sha256, size, facts[0][0])
        _publish(sidecar_path(directory, tar.name), _sidecar(samples, first, None, place), lock)
        first += len(samples)
        if progress is not None:
            progress(number + 1, len(tars))
    _check_unique(directory, tars, np.concatenate(seen))
    formats = set().union(*(formats for _, formats, _ in facts))
    entries = tuple(index_entry(sidecar_path(directory, tar.name))[0] for tar in tars)
    content = SetFile(
        kind="adopted",
        recipe=recipe,
        num_samples=first,
        samples_per_shard=None,
        views_per_sample=facts[0][0],
        image_size=_common_size(facts),
        image_format={"jpeg": "jpg"}.get(min(formats), min(formats)) if len(formats) == 1 else None,
        complete=True,
        made_with=made_with(),
        shards=entries,
    )
    content.publish(directory, lock.temporary("shardset.json"), replace=True)
    for sidecar in (directory / HIDDEN).glob("*" + SIDECAR_SUFFIX):
        if not (directory / sidecar.name).with_suffix(".tar").exists():
            sidecar.unlink()  # of a tar that was there when the folder was adopted before
    return describe(directory, content)


def _rebuild(directory: Path, found: SetFile, lock: PartLock, progress: Report | None) -> ShardSetInfo:
    """Make the sidecars of a generated set again, from tars that are still what its index says."""
    if found.kind == "recorded":
        raise DataError(
            f"{directory} is a recording: steps and hardness were in its sidecars alone and cannot be made again; "
            f"move {HIDDEN} away to adopt its tars as plain images"
        )
    if not found.complete:
        raise DataError(f"{directory} is not complete: run the command that writes it again")
    seed = found.recipe.values.get("seed")
    first, entries = 0, []
    for number, shard in enumerate(found.shards):
        tar = directory / shard.name
        if not tar.is_file() or file_sha256(tar) != shard.sha256:
            raise DataError(f"{tar} is missing or damaged: it is not what the set's index says")
        samples = scan_tar(tar)
        facts = TarFacts(
            shard.name, found.recipe.hash, shard.size, shard.sha256, found.image_size or 0, found.views_per_sample
        )
        _publish(sidecar_path(directory, shard.name), _sidecar(samples, first, seed, facts), lock)
        entries.append(index_entry(sidecar_path(directory, shard.name))[0])
        first += len(samples)
        if progress is not None:
            progress(number + 1, len(found.shards))
    found = replace(found, shards=tuple(entries))
    found.publish(directory, lock.temporary("shardset.json"), replace=True)
    return describe(directory, found)


def _sidecar(samples: Sequence[ScannedSample], first: int, seed: int | None, facts: TarFacts) -> bytes:
    places = {
        name: np.array([[getattr(image, name) for image in sample.images] for sample in samples], dtype=np.int64)
        for name in ("offset", "size", "crc32", "header_crc32")
    }
    table = build_table(facts.shard, first, seed, places)
    keys = [sample.key for sample in samples]
    if keys != [sample_key(first + i) for i in range(len(samples))]:
        table = table.set_column(0, "key", pa.array(keys, pa.string()))
    if any(sample.label is not None for sample in samples):
        table = table.append_column("label", pa.array([sample.label for sample in samples], pa.string()))
    return write_sidecar(table, facts)


def _publish(path: Path, data: bytes, lock: PartLock) -> None:
    with disk_errors(path.parent), TemporaryFile(lock.temporary(path.name)) as file:
        file.write(data)
        file.finish()
        file.publish(path, replace=True)


def _facts(samples: Sequence[ScannedSample], tar: Path) -> tuple[int, set[str], set[tuple[int, int]]]:
    """Images a sample, formats and sizes of a tar's images."""
    views = {len(sample.images) for sample in samples}
    if len(views) > 1:
        raise DataError(f"{tar} mixes single images and pairs; a set holds one kind")
    images = [image for sample in samples for image in sample.images]
    return views.pop(), {image.extension for image in images}, {image.dimensions for image in images}


def _common_size(facts: Sequence[tuple[int, set[str], set[tuple[int, int]]]]) -> int | None:
    """The images' size if all are squares of one size."""
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
