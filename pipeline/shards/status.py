"""How far a set is: which of its shards are published, the step that completes it, and summaries for people."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import check_folder
from .layout import HIDDEN, SIDECAR_SUFFIX, manifest_path, num_shards, shard_name, shard_samples, sidecar_name
from .manifest import Manifest, ShardEntry, read_manifest
from .network import is_url
from .publish import PartLock
from .readable import check_files
from .sidecar import TarFacts, parse_facts
from .writable import WritableSet, for_each, open_writable


@dataclass(frozen=True, kw_only=True)
class ShardSetInfo:
    """What a set is and how far it is.

    Attributes:
        path: the set's folder or URL.
        manifest: the set's manifest.
        num_samples: samples of the whole set.
        num_published: samples that are published.
        size: bytes of the published tars.
        written: samples of the process's part that this call added.
        existing: samples of the process's part that were there before.
        reused: whether this call found the set complete.
    """

    path: Path | str
    manifest: Manifest
    num_samples: int
    num_published: int
    size: int
    written: int = 0
    existing: int = 0
    reused: bool = False

    @property
    def complete(self) -> bool:
        """Whether all samples are published."""
        return self.manifest.complete

    @property
    def recipe_hash(self) -> str:
        """The set's identity."""
        return self.manifest.recipe.hash

    @property
    def num_shards(self) -> int:
        """How many shards are published."""
        return len(self.manifest.shards)


def is_published(files: WritableSet, shard: str, recipe_hash: str, num_samples: int) -> bool:
    """Whether a shard is published with that many samples. One with fewer is the last shard of a set that was shorter.

    Raises:
        DataError: the sidecar is damaged or belongs to another set, or the tar is missing or of another size.
    """
    found = find_entry(files, shard)
    if found is None:
        return False
    (entry, facts), sidecar = found, files.place(sidecar_name(shard))
    if facts.recipe_hash != recipe_hash or facts.shard != shard:
        raise DataError(f"{sidecar} belongs to another set or shard: move it and {shard} away, then run again")
    if entry.num_samples < num_samples:
        return False
    size = files.size(shard)
    if size != facts.size:
        wrong = "is missing" if size is None else f"has {size:,} bytes instead of {facts.size:,}"
        raise DataError(f"{files.place(shard)} {wrong}: remove it and {sidecar}, then run again to make it anew")
    return True


def complete_set(files: WritableSet, plan: Manifest, lock: PartLock) -> ShardSetInfo:
    """Complete the set if all its shards are published. The last writer does it; doing it twice does no harm.

    Another part may have raised the number of samples meanwhile, or, with a smaller one, completed the set while this
    part raised it. The larger number counts.
    """
    found = read_manifest(files)
    if found.num_samples < plan.num_samples:
        found = replace(found, num_samples=plan.num_samples, complete=False)
    if not found.complete:
        entries, size = _full_shards(files, found)
        found = replace(found, shards=tuple(entries))
        if sum(entry.num_samples for entry in entries) == found.num_samples:
            found = replace(found, image_size=size, complete=True)
            found.publish(files, lock, replace=True)
    return set_info(files.path, found)


def _full_shards(files: WritableSet, plan: Manifest) -> tuple[list[ShardEntry], int | None]:
    """The published shards that have all their samples, and the images' size."""
    entries, sizes = [], set()
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    numbers = range(num_shards(plan.num_samples, plan.samples_per_shard))
    found = for_each(files, lambda number: find_entry(files, shard_name(number)), numbers)
    for number, one in zip(numbers, found, strict=True):
        if one is not None and one[0].num_samples == len(
            shard_samples(number, plan.num_samples, plan.samples_per_shard)
        ):
            entries.append(one[0])
            sizes.add(one[1].image_size)
    if len(sizes) > 1:
        raise DataError(
            f"the shards of {files.path} hold images of {sorted(sizes)} pixels; the images of a set have one size"
        )
    return entries, sizes.pop() if sizes else None


def find_entry(files: WritableSet, shard: str) -> tuple[ShardEntry, TarFacts] | None:
    """A shard's entry for the manifest by its sidecar, and what that says about the tar; None if it has no sidecar."""
    data = files.read(sidecar_name(shard))
    return None if data is None else entry_of_sidecar(data, str(files.place(sidecar_name(shard))))


def entry_of_sidecar(data: bytes, name: str) -> tuple[ShardEntry, TarFacts]:
    """Make a shard's entry for the manifest from its sidecar's bytes, and read what they say about the tar.

    `name` is what errors call the sidecar.
    """
    facts, rows = parse_facts(data, name)
    entry = ShardEntry(facts.shard, rows, facts.size, facts.sha256, len(data), hashlib.sha256(data).hexdigest())
    return entry, facts


def published_shards(files: WritableSet) -> list[ShardEntry]:
    """The published shards of a set that synthcl writes and that is not complete, by their sidecars.

    Raises:
        DataError: a sidecar is damaged, or is not that of the shard which its name tells.
    """
    names = sorted(n.removesuffix(SIDECAR_SUFFIX) for n in files.sizes(HIDDEN) if n.endswith(SIDECAR_SUFFIX))
    shards = [f"{name}.tar" for name in names if name.isdecimal()]
    found = zip(shards, for_each(files, lambda shard: find_entry(files, shard), shards), strict=True)
    entries = {shard: one[0] for shard, one in found if one is not None}
    for shard, entry in entries.items():
        if entry.name != shard:
            raise DataError(f"{files.place(sidecar_name(shard))} is not the sidecar of {shard}, but of {entry.name}")
    return list(entries.values())


def set_info(path: Path | str, found: Manifest) -> ShardSetInfo:
    """What a set is, by its manifest. Of a partial set, the manifest given may list the shards that are published."""
    return ShardSetInfo(
        path=path,
        manifest=found,
        num_samples=found.num_samples,
        num_published=sum(shard.num_samples for shard in found.shards),
        size=sum(shard.size for shard in found.shards),
    )


def find_shard_sets(folder: str | Path) -> list[Path] | list[str]:
    """The sorted folders or URLs at or below `folder` that hold a set. Links are not followed.

    Raises:
        DataError: there is no such folder.
    """
    if is_url(folder):
        from .object_store import find_sets

        return find_sets(str(folder))
    folder = Path(folder)
    check_folder(folder)
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for path, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if manifest_path(Path(path)).is_file():
            yield Path(path)
            folders.clear()  # a set has no sets inside


def summarize(directory: str | Path) -> dict[str, Any]:
    """Summarize a set for `shards list` and `shards info`: its name, state, counts, sizes and recipe.

    `state` is `complete`, `partial` or `damaged`. Of a damaged set, `error` tells the reason.
    """
    files = open_writable(directory)
    name = files.path.resolve().name if isinstance(files.path, Path) else files.path.rpartition("/")[2]
    row: dict[str, Any] = {"path": str(files.path), "name": name}
    try:
        manifest = read_manifest(files)
        row |= _facts(manifest)
        if not manifest.complete:
            row |= _progress(files, manifest)
        else:
            check_files(files, manifest, no_others=not is_url(files.path))
    except DataError as error:
        row |= {"state": "damaged", "error": str(error)}
    return row


def _facts(manifest: Manifest) -> dict[str, Any]:
    return {
        "state": "complete" if manifest.complete else "partial",
        "kind": manifest.kind,
        "num_samples": manifest.num_samples,
        "num_published": manifest.num_samples,
        "num_shards": len(manifest.shards),
        "views_per_sample": manifest.views_per_sample,
        "image_size": manifest.image_size,
        "image_format": manifest.image_format,
        "bytes": sum(shard.size + shard.sidecar_size for shard in manifest.shards),
        "recipe_hash": manifest.recipe.hash,
        "recipe": dict(manifest.recipe.values),
        "made_with": manifest.made_with,
    }


def _progress(files: WritableSet, manifest: Manifest) -> dict[str, Any]:
    """How far a partial set is."""
    entries = published_shards(files)
    planned = num_shards(manifest.num_samples, manifest.samples_per_shard) if manifest.samples_per_shard else 0
    return {
        "num_published": sum(entry.num_samples for entry in entries),
        "num_shards": max(planned, len(entries)),
        "bytes": sum(entry.size + entry.sidecar_size for entry in entries),
    }


def describe_set(directory: str | Path) -> dict[str, Any]:
    """`summarize` for a folder that must hold a set.

    Raises:
        DataError: the folder holds no set, or its manifest is damaged.
    """
    read_manifest(open_writable(directory))
    return summarize(directory)
