"""What a shard set has come to: the state of its shards, and the last step that completes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from .layout import num_shards, shard_name, shard_samples, sidecar_path
from .locks import PartLock
from .setfile import SetFile, ShardEntry, read_set_file
from .sidecar import TarFacts, parse_facts, read_bytes, read_facts


@dataclass(frozen=True, kw_only=True)
class ShardSetInfo:
    """A shard set in a few words.

    Attributes:
        path: its folder.
        content: what `shardset.json` says.
        num_samples: samples of the whole set.
        num_published: samples that are there.
        size: bytes of the shards that are there.
        written: samples of the process's part that the call added.
        existing: samples of the process's part that were there before.
        reused: whether the call found the set complete.
    """

    path: Path
    content: SetFile
    num_samples: int
    num_published: int
    size: int
    written: int = 0
    existing: int = 0
    reused: bool = False

    @property
    def complete(self) -> bool:
        return self.content.complete

    @property
    def recipe_hash(self) -> str:
        return self.content.recipe.hash

    @property
    def num_shards(self) -> int:
        return len(self.content.shards)


def is_published(directory: Path, shard: str, recipe_hash: str, num_samples: int) -> bool:
    """Whether a shard is there with that many samples. One with fewer is the end of a set that was shorter.

    Raises:
        DataError: the sidecar is damaged or another set's, or its tar is missing or of another size.
    """
    sidecar = sidecar_path(directory, shard)
    if not sidecar.exists():
        return False
    facts, rows = read_facts(sidecar)
    if facts.recipe_hash != recipe_hash or facts.shard != shard:
        raise DataError(f"{sidecar} belongs to another set or shard: move it and {shard} away, then run again")
    if rows < num_samples:
        return False
    tar = directory / shard
    size = tar.stat().st_size if tar.is_file() else None
    if size != facts.size:
        found = "is missing" if size is None else f"has {size:,} bytes instead of {facts.size:,}"
        raise DataError(f"{tar} {found}: remove it and {sidecar}, then run again to make it anew")
    return True


def finish(directory: Path, plan: SetFile, lock: PartLock) -> ShardSetInfo:
    """Complete the set if all its shards are there. Who comes last does it; twice does no harm."""
    found = read_set_file(directory)
    if not (found.complete and found.num_samples == plan.num_samples):
        entries, size = _entries(directory, plan)
        if sum(entry.num_samples for entry in entries) < plan.num_samples:
            return describe(directory, replace(found, shards=tuple(entries)))
        found = replace(found, image_size=size, complete=True, shards=tuple(entries))
        found.publish(directory, lock.temporary("shardset.json"), replace=True)
    return describe(directory, found)


def _entries(directory: Path, plan: SetFile) -> tuple[list[ShardEntry], int | None]:
    """The shards that are there and have all their samples, and the images' size."""
    entries, sizes = [], set()
    assert plan.samples_per_shard is not None, "sets that are written have shards of one size"
    for number in range(num_shards(plan.num_samples, plan.samples_per_shard)):
        sidecar = sidecar_path(directory, shard_name(number))
        if not sidecar.exists():
            continue
        entry, facts = index_entry(sidecar)
        if entry.num_samples == len(shard_samples(number, plan.num_samples, plan.samples_per_shard)):
            entries.append(entry)
            sizes.add(facts.image_size)
    if len(sizes) > 1:
        raise DataError(f"the shards of {directory} hold images of {sorted(sizes)} pixels; a set is of one size")
    return entries, sizes.pop() if sizes else None


def index_entry(sidecar: Path) -> tuple[ShardEntry, TarFacts]:
    """A shard's entry in the set's index, made from its sidecar."""
    data = read_bytes(sidecar)
    facts, rows = parse_facts(data, str(sidecar))
    entry = ShardEntry(facts.shard, rows, facts.size, facts.sha256, len(data), hashlib.sha256(data).hexdigest())
    return entry, facts


def is_finished(directory: Path, found: SetFile) -> bool:
    """Whether everything that a complete set's index names is there, in the right size.

    Raises:
        DataError: a shard or sidecar is missing or of another size.
    """
    for shard in found.shards:
        sidecar = sidecar_path(directory, shard.name)
        for path, size in ((directory / shard.name, shard.size), (sidecar, shard.sidecar_size)):
            if not path.is_file() or path.stat().st_size != size:
                raise DataError(
                    f"{path} is missing or not of {size:,} bytes, as the set's index says; `synthcl shards verify "
                    f"{directory}` lists what is damaged"
                )
    return True


def describe(directory: Path, found: SetFile) -> ShardSetInfo:
    """The set in a few words, from its index (which a partial set has only as far as it was looked at)."""
    return ShardSetInfo(
        path=directory,
        content=found,
        num_samples=found.num_samples,
        num_published=sum(shard.num_samples for shard in found.shards),
        size=sum(shard.size for shard in found.shards),
    )
