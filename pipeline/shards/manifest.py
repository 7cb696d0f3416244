"""The manifest of a shard set, `shardset.json`: the set's recipe, and its shards with their sizes and checksums.

A set's manifest is written twice: when the set is begun, without shards and with `complete` false, and when all shards
are there. Nothing in it depends on when, where or by how many processes the set was made. It notes the batch size,
which can move a pixel by one step: a network may add numbers in another order on another batch size.

The recipe says what the samples are a function of, besides their index. Its hash is the set's identity. The number of
samples is not in it: sample i does not depend on it, and a set of 5,000 samples can be continued to 10,000. Versions of
libraries are not in it either, so that a set stays usable after an upgrade; the manifest notes them beside the recipe.
A generator whose samples depend on versions, as diffusion's do, puts them into its own part of the recipe.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..images.encoding import IMAGE_FORMATS
from ..runs.folder import command_of
from .layout import HIDDEN, LABEL_COLUMNS, MANIFEST, manifest_path
from .publish import PartLock, TemporaryFile
from .writable import LocalWritableSet, WritableSet

VERSION = 1
VERSION_WITH_LABELS = 2
"""The version of sets with members beside the images, which readers of version 1 do not know."""
KINDS = ("generated", "recorded", "adopted")
MAX_MANIFEST_BYTES = 1 << 28
"""The largest manifest that is read. Ours; a million shards take about as much."""

MAX_VIEWS_PER_SAMPLE = 64
"""Images that a sample can have. Ours."""

_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,200}\.tar")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def canonical_json(value: Any) -> str:
    """The canonical JSON text of a value: names are sorted, and there are no blanks and no NaN.

    Raises:
        TypeError, ValueError: JSON cannot hold the value.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


@dataclass(frozen=True)
class Recipe:
    """What the samples of a set are a function of, besides their index.

    Attributes:
        values: names with plain values: strings, numbers, booleans, None, and lists and dicts of them.

    Raises:
        TypeError, ValueError: JSON cannot hold a value exactly.
    """

    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        # The values as JSON gives them back, so that a tuple and the list that it becomes are the same recipe.
        object.__setattr__(self, "values", json.loads(canonical_json(dict(self.values))))

    @property
    def hash(self) -> str:
        """The SHA-256 of the canonical JSON text, in hexadecimal."""
        return hashlib.sha256(canonical_json(self.values).encode()).hexdigest()

    def differences(self, other: Recipe) -> list[str]:
        """A line for each difference: `seed: 0 there, 1 now`, where this recipe is there and `other` is now."""
        there, now = flatten(self.values), flatten(other.values)
        return [
            f"{name}: {_shown(there, name)} there, {_shown(now, name)} now"
            for name in sorted({*there, *now})
            if (name in there, there.get(name)) != (name in now, now.get(name))
        ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of a nest under names joined by dots, such as `generator.seed`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _shown(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "nothing"


@dataclass(frozen=True)
class ShardEntry:
    """A shard in the manifest.

    Attributes:
        name: the tar's file name.
        num_samples: how many samples the shard has.
        size: the tar's bytes.
        sha256: the tar's checksum.
        sidecar_size: the sidecar's bytes.
        sidecar_sha256: the sidecar's checksum.
    """

    name: str
    num_samples: int
    size: int
    sha256: str
    sidecar_size: int
    sidecar_sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of `shardset.json`.

    Attributes:
        kind: `generated`, `recorded` (by a training) or `adopted` (someone else's tars).
        recipe: what the samples are a function of.
        num_samples: samples of the whole set; 0 for a recording in progress.
        samples_per_shard: samples in each shard but the last; None for adopted sets, whose shards differ.
        views_per_sample: images a sample: 1, 2 for pairs, or more.
        image_size: pixels a side; None until all samples are there, and for adopted sets whose images differ in size.
        image_format: `png`, `jpg` or `webp`; None for adopted sets that mix them.
        complete: whether all samples are there.
        made_with: versions of the libraries that wrote the set.
        labels: extensions of the members that follow each sample's images, of those in `LABEL_COLUMNS`.
        batch_size: how many samples were drawn at once where the set was begun; None where the set does not tell.
        shards: the shards in order; empty until the set is complete.
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
    labels: tuple[str, ...] = ()
    batch_size: int | None = None
    shards: tuple[ShardEntry, ...] = ()

    def to_json(self) -> str:
        """The file's text: a line for each shard, and a checksum of everything."""
        content: dict[str, Any] = asdict(replace(self, shards=()))
        content["recipe"] = dict(self.recipe.values)
        version = VERSION_WITH_LABELS if self.labels else VERSION
        if not self.labels:
            del content["labels"]
        if self.batch_size is None:  # as in sets that were made before it was noted
            del content["batch_size"]
        content = {"format": "synthcl shard set", "version": version, "recipe_hash": self.recipe.hash, **content}
        content["num_shards"] = len(self.shards)
        content["shards"] = [asdict(shard) for shard in self.shards]
        shards = ",\n".join("    " + json.dumps(shard) for shard in content["shards"])
        head = {name: value for name, value in content.items() if name != "shards"}
        head["checksum"] = _checksum(content)
        text = json.dumps(head, indent=2, allow_nan=False)
        return text.removesuffix("\n}") + f',\n  "shards": [\n{shards}\n  ]\n}}\n'

    def publish(self, files: WritableSet, lock: PartLock, *, replace: bool) -> bool:
        """Write the manifest, whole or not at all.

        Args:
            files: the set's files.
            lock: of the part that writes; it names temporary files.
            replace: whether it may replace a manifest.

        Returns:
            Whether it was written: False if there is a manifest and it is not to be replaced.

        Raises:
            DataError: no command would accept it.
        """
        data = self.to_json().encode()
        parse_manifest(data, str(files.place(MANIFEST)))
        with TemporaryFile(lock.temporary("shardset.json")) as file:
            file.write(data)
            file.finish()
            if not replace and files.size(MANIFEST) is not None:
                return False
            files.publish(file, MANIFEST, replace=replace)
        return True


def find_manifest(files: WritableSet) -> Manifest | None:
    """Read the manifest of a set, if there is one.

    Raises:
        DataError: it is damaged, or its values are not possible.
    """
    data = files.read(MANIFEST, MAX_MANIFEST_BYTES)
    return None if data is None else parse_manifest(data, str(files.place(MANIFEST)))


def read_manifest(place: Path | WritableSet) -> Manifest:
    """Read the manifest of the set in a folder, or of these files.

    Raises:
        DataError: there is no manifest, or it is damaged, or its values are not possible.
    """
    files = LocalWritableSet(place) if isinstance(place, Path) else place
    found = find_manifest(files)
    if found is None:
        raise DataError(_no_set(files.path))
    return found


def _no_set(directory: Path | str) -> str:
    """What is in a folder instead of a set, and what to do."""
    if isinstance(directory, str):
        return f"{directory} is no shard set: it has no {MANIFEST}"
    if not directory.exists():
        return f"there is no folder {directory}"
    command = command_of(directory)
    if command is not None:
        made = f"; `synthcl generate --generator {directory}` makes one of its samples"
        return f"{directory} is a run of `synthcl {command}`, no shard set{made if command == 'pretrain' else ''}"
    index = f"{directory} is no shard set: it has no {HIDDEN}/{manifest_path(directory).name}"
    if any(directory.glob("*.tar")):
        index += (
            f". For tars from elsewhere, or if that file was lost, `synthcl shards index {directory}` makes one, and "
            "keeps the columns of sidecars that are there"
        )
    return index


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Read a manifest from its bytes; see `read_manifest`. `name` is what errors call it."""
    try:
        content = json.loads(data)
        if content["version"] not in (VERSION, VERSION_WITH_LABELS):
            raise DataError(
                f"{name} is of version {content['version']}; this synthcl reads versions {VERSION} and "
                f"{VERSION_WITH_LABELS}"
            )
        if content.pop("checksum") != _checksum(content):
            raise DataError(f"{name} is damaged: its checksum is not that of its content")
        return _checked(content, name)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{name} is damaged: {type(error).__name__} {error}") from None


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def _checked(content: dict[str, Any], name: str) -> Manifest:
    """The content as a `Manifest`. Every value is checked, since the set may be a stranger's."""
    shards = tuple(ShardEntry(**shard) for shard in content["shards"])
    names = {f for f in Manifest.__dataclass_fields__ if f not in ("recipe", "shards", "labels", "batch_size")}
    fields = {f: content[f] for f in names}
    labels = tuple(content["labels"]) if content["version"] == VERSION_WITH_LABELS else ()
    batch_size = content.get("batch_size")
    found = Manifest(recipe=Recipe(content["recipe"]), shards=shards, labels=labels, batch_size=batch_size, **fields)
    problems = [
        ("kind", found.kind in KINDS),
        ("recipe_hash", content["recipe_hash"] == found.recipe.hash),
        ("num_samples", _natural(found.num_samples)),
        ("samples_per_shard", found.samples_per_shard is None or _natural(found.samples_per_shard, 1)),
        ("views_per_sample", _natural(found.views_per_sample, 1) and found.views_per_sample <= MAX_VIEWS_PER_SAMPLE),
        ("image_size", found.image_size is None or _natural(found.image_size, 1)),
        ("image_format", found.image_format is None or found.image_format in IMAGE_FORMATS),
        ("labels", set(labels) <= set(LABEL_COLUMNS) and len(set(labels)) == len(labels)),
        ("batch_size", batch_size is None or _natural(batch_size, 1)),
        ("complete", isinstance(found.complete, bool)),
        ("num_shards", content["num_shards"] == len(shards) == len({s.name for s in shards})),
    ]
    for what, sound in problems:
        if not sound:
            raise DataError(f"{name} is not sound: {what} is {content.get(what)!r}")
    for shard in shards:
        _check_shard(shard, name)
    if found.complete and sum(s.num_samples for s in shards) != found.num_samples:
        raise DataError(f"{name} is not sound: its shards do not add up to {found.num_samples:,} samples")
    return found


def _check_shard(shard: ShardEntry, name: str) -> None:
    if not _SHARD_NAME.fullmatch(shard.name):
        raise DataError(
            f"{name} names a shard {shard.name[:80]!r}; shards lie in its folder, and letters, digits and ._- name them"
        )
    sizes = (shard.size, shard.sidecar_size, shard.num_samples)
    sums = (shard.sha256, shard.sidecar_sha256)
    # A sample takes at least a header and one block, so this bounds what a false number of samples can cost.
    if not all(map(_natural, sizes)) or shard.num_samples * 1024 > shard.size or not all(map(_SHA256.fullmatch, sums)):
        raise DataError(f"{name} is not sound: the facts of shard {shard.name} are not possible")


def _natural(value: Any, minimum: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value < 2**62
