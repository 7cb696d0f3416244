"""`shardset.json`: what a set is, and its index of shards with their sizes and checksums.

It is written when a set is begun, without shards and with `complete` false, and once more when all shards are there.
Nothing in it depends on when, where or by how many processes the set was made.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..run import command_of
from .layout import IMAGE_FORMATS, set_file
from .publish import TemporaryFile
from .recipe import Recipe, canonical_json

VERSION = 1
KINDS = ("generated", "recorded", "adopted")
MAX_BYTES = 1 << 28  # ours: a million shards take about as much
MAX_VIEWS = 2
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,200}\.tar")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShardEntry:
    """A shard in the index.

    Attributes:
        name: its file name.
        num_samples: samples in it.
        size: bytes.
        sha256: of its bytes.
        sidecar_size: bytes of its sidecar.
        sidecar_sha256: of the sidecar's bytes.
    """

    name: str
    num_samples: int
    size: int
    sha256: str
    sidecar_size: int
    sidecar_sha256: str


@dataclass(frozen=True, kw_only=True)
class SetFile:
    """The content of `shardset.json`.

    Attributes:
        kind: `generated`, `recorded` (by an online run) or `adopted` (someone else's tars).
        recipe: what made the samples.
        num_samples: samples of the whole set, or so far for a recording in progress.
        samples_per_shard: in each shard but the last; None for adopted sets, whose shards are as they are.
        views_per_sample: 1, or 2 for pairs.
        image_size: pixels a side; None as long as no sample was made, and in adopted sets whose images differ.
        image_format: `png`, `jpg` or `webp`; None for adopted sets that mix them.
        complete: whether all samples are there.
        made_with: versions of what wrote the set.
        shards: the index; empty until the set is complete.
    """

    kind: str
    recipe: Recipe
    num_samples: int
    samples_per_shard: int | None
    views_per_sample: int
    image_size: int | None
    image_format: str | None
    complete: bool
    made_with: dict[str, str] = field(default_factory=dict)
    shards: tuple[ShardEntry, ...] = ()

    def to_json(self) -> str:
        """The file's text: a line for each shard, and a checksum over everything."""
        content: dict[str, Any] = asdict(replace(self, shards=()))
        content["recipe"] = dict(self.recipe.values)
        content = {"format": "synthcl shard set", "version": VERSION, "recipe_hash": self.recipe.hash, **content}
        content["num_shards"] = len(self.shards)
        content["shards"] = [asdict(shard) for shard in self.shards]
        shards = ",\n".join("    " + json.dumps(shard) for shard in content["shards"])
        head = {name: value for name, value in content.items() if name != "shards"}
        head["checksum"] = _checksum(content)
        text = json.dumps(head, indent=2, allow_nan=False)
        return text.removesuffix("\n}") + f',\n  "shards": [\n{shards}\n  ]\n}}\n'

    def publish(self, directory: Path, temporary: Path, *, replace: bool) -> bool:
        """Write the set's index, whole or not at all; False if there was one and it is not to be replaced."""
        with TemporaryFile(temporary) as file:
            file.write(self.to_json().encode())
            file.finish()
            if not replace and set_file(directory).exists():
                return False
            file.publish(set_file(directory), replace=replace)
        return True


def read_set_file(directory: Path) -> SetFile:
    """The index of the set in a folder.

    Raises:
        DataError: there is none, or it is damaged or not sound.
    """
    path = set_file(directory)
    try:
        if path.is_symlink() or path.parent.is_symlink():
            raise DataError(f"{path} is a link; a shard set keeps everything in its own folder")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes, more than the {MAX_BYTES:,} that are read")
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(_no_set(directory)) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    return parse_set_file(data, str(path))


def _no_set(directory: Path) -> str:
    """What is in a folder instead of a set, and what to do."""
    if not directory.exists():
        return f"there is no folder {directory}"
    command = command_of(directory)
    if command is not None:
        made = f"; `synthcl generate --generator {directory}` makes one of its samples"
        return f"{directory} is a run of `synthcl {command}`, no shard set{made if command == 'pretrain' else ''}"
    index = f"{directory} is no shard set: it has no {set_file(directory).relative_to(directory)}"
    if any(directory.glob("*.tar")):
        index += f". For tars from elsewhere, or if that file was lost, `synthcl shards index {directory}` makes one"
    return index


def parse_set_file(data: bytes, name: str) -> SetFile:
    """A set's index from its bytes; see `read_set_file`."""
    try:
        content = json.loads(data)
        if content["version"] != VERSION:
            raise DataError(f"{name} is of version {content['version']}; this synthcl reads version {VERSION}")
        if content.pop("checksum") != _checksum(content):
            raise DataError(f"{name} is damaged: its checksum is not that of its content")
        return _checked(content, name)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{name} is damaged: {type(error).__name__} {error}") from None


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def _checked(content: dict[str, Any], name: str) -> SetFile:
    """The content as a `SetFile`, if every value is possible; the set may be a stranger's."""
    shards = tuple(ShardEntry(**shard) for shard in content["shards"])
    names = {f for f in SetFile.__dataclass_fields__ if f not in ("recipe", "shards")}
    fields = {f: content[f] for f in names}
    found = SetFile(recipe=Recipe(content["recipe"]), shards=shards, **fields)
    problems = [
        ("kind", found.kind in KINDS),
        ("recipe_hash", content["recipe_hash"] == found.recipe.hash),
        ("num_samples", _natural(found.num_samples)),
        ("samples_per_shard", found.samples_per_shard is None or _natural(found.samples_per_shard, 1)),
        ("views_per_sample", _natural(found.views_per_sample, 1) and found.views_per_sample <= MAX_VIEWS),
        ("image_size", found.image_size is None or _natural(found.image_size, 1)),
        ("image_format", found.image_format is None or found.image_format in IMAGE_FORMATS),
        ("complete", isinstance(found.complete, bool)),
        ("num_shards", content["num_shards"] == len(shards) == len({s.name for s in shards})),
    ]
    for what, sound in problems:
        if not sound:
            raise DataError(f"{name} is not sound: {what} is {content[what]!r}")
    for shard in shards:
        _check_shard(shard, name)
    if found.complete and sum(s.num_samples for s in shards) != found.num_samples:
        raise DataError(f"{name} is not sound: its shards do not add up to {found.num_samples:,} samples")
    return found


def _check_shard(shard: ShardEntry, name: str) -> None:
    if not _SHARD_NAME.fullmatch(shard.name):
        raise DataError(
            f"{name} names a shard {shard.name[:80]!r}; shards lie in its folder, named in letters, digits and ._-"
        )
    sizes = (shard.size, shard.sidecar_size, shard.num_samples)
    sums = (shard.sha256, shard.sidecar_sha256)
    # A sample takes at least its header and one block, so this bounds what a lie about the count can cost.
    if not all(map(_natural, sizes)) or shard.num_samples * 1024 > shard.size or not all(map(_SHA256.fullmatch, sums)):
        raise DataError(f"{name} is not sound: the facts of shard {shard.name} are not possible")


def _natural(value: Any, minimum: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value < 2**62
