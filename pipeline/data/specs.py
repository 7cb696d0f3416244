"""The SPEC by which a user names images: a name or a path, with `:split` after it where the source has splits, and a
part of them in brackets (see slices.py)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path, PurePath
from typing import NamedTuple

from ..errors import UsageError
from ..hub.locations import is_hub_location
from .catalogue import NAMED_SETS
from .slices import Slice, parse_slice

DATASETS = ("digits", *NAMED_SETS)
"""What a SPEC can call by name."""

TRAIN, TEST = "train", "test"

_ALIASES = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "unlabeled": "unlabeled",
}
"""Words that name a split, in file and folder names, and what each stands for."""

_SPLIT = re.compile(r"(?P<location>.+):(?P<split>[A-Za-z0-9_-]*)", re.DOTALL)
_PART = re.compile(r"(?P<whole>.+)\[(?P<inside>[^\[\]]*)\]", re.DOTALL)
_FILE_SPLIT = re.compile(rf"(?P<split>{'|'.join(_ALIASES)})(?![a-z])", re.IGNORECASE)


class Spec(NamedTuple):
    """A SPEC taken apart."""

    location: str
    split: str | None
    part: Slice | None = None


def parse_spec(spec: str) -> Spec:
    """Take `LOCATION:SPLIT[PART]` apart; a path that exists as it stands is a location alone.

    Brackets at the end are a part where what stands before them is there, and characters to match where it is not
    (`photos/*.jp[g]`).

    Raises:
        UsageError: an empty location, an empty split, or a malformed part.
    """
    if not spec:
        raise UsageError("the data SPEC is empty: give the name of a data set or a path")
    if path_exists(spec):
        return Spec(spec, None)
    match = _PART.fullmatch(spec)
    if match is None:
        return _parse_location(spec)
    whole = _parse_location(match["whole"])
    if not _is_part(match["inside"], whole.location, spec):
        return _parse_location(spec)
    return Spec(whole.location, whole.split, parse_slice(match["inside"], spec))


def same_source(spec: str, other: str) -> bool:
    """Whether two SPECs name the same source, by its name or place: whichever splits and parts of it they ask for.

    Raises:
        UsageError: a SPEC that cannot be taken apart.
    """
    return _place(parse_spec(spec).location) == _place(parse_spec(other).location)


def _place(location: str) -> str:
    return location if location in DATASETS else os.path.abspath(os.path.expanduser(location))


def refuse_part(option: str, path: str) -> None:
    """Raises UsageError if a set of shards is given with the part of a SPEC, which only images to open can have."""
    match = _PART.fullmatch(path)
    if match is not None and ":" in match["inside"] and not path_exists(path):
        raise UsageError(
            f"{option} {path}: a part in brackets is for the images of --data, not for a set of shards; give {option} "
            f"{match['whole']} with --where and a condition on its samples, such as 'sample_index < 1000'"
        )


def path_exists(path: str) -> bool:
    """Whether a file or folder is called so."""
    return os.path.exists(os.path.expanduser(path))


def _parse_location(text: str) -> Spec:
    """Split `LOCATION:SPLIT`."""
    match = _SPLIT.fullmatch(text)
    if match is None or path_exists(text):
        return Spec(text, None)
    if not match["split"]:
        raise UsageError(f"the data SPEC {text!r} ends in a colon: give a split after it, or leave the colon out")
    return Spec(match["location"], match["split"])


def _is_part(inside: str, location: str, spec: str) -> bool:
    """Whether brackets at the end of a SPEC are a part, and not characters for a file's name to match."""
    if location in DATASETS or is_hub_location(location) or path_exists(location):
        return True
    if not any(character in inside for character in ":,%="):
        return False
    return _matches_files(location) or not _matches_files(spec)


def _matches_files(pattern: str) -> bool:
    try:
        return bool(expand_pattern(pattern))
    except UsageError:
        return False


def choose_split(spec: Spec, splits: Sequence[str], default: str | None) -> str | None:
    """The split to open, by the name that the source has for it.

    Args:
        spec: what the user asked for.
        splits: those the source has; empty where it has none.
        default: the split to take if the SPEC names none; None is train.

    Raises:
        UsageError: a split that the source does not have.
    """
    if spec.split is None and not splits:
        return None
    wanted = spec.split or default or TRAIN
    if (found := find_split(wanted, splits)) is not None:
        return found
    if spec.split is None and len(splits) == 1 and wanted == TRAIN:
        return splits[0]  # the user pointed at the files of one split
    have = f"there are {', '.join(splits)}" if splits else "it has no splits"
    raise UsageError(f"{spec.location} has no split {wanted!r}: {have}")


def find_split(wanted: str, splits: Sequence[str]) -> str | None:
    """The one of `splits` that is called so, or by another word for the same (val, validation)."""
    if wanted in splits:
        return wanted
    canonical = _ALIASES.get(wanted.lower())
    return next((split for split in splits if canonical and _ALIASES.get(split.lower()) == canonical), None)


def held_out_split(splits: Sequence[str]) -> str | None:
    """The split to score on: test, else validation."""
    return find_split(TEST, splits) or find_split("validation", splits)


def is_split_name(name: str) -> bool:
    """Whether a folder of this name is a split."""
    return name.lower() in _ALIASES


def split_of_file(path: PurePath) -> str | None:
    """The split that a file's name begins with (`train-00000-of-00004.parquet`), or that its folder is called."""
    match = _FILE_SPLIT.match(path.stem)
    if match is not None:
        return match["split"].lower()
    return path.parent.name.lower() if is_split_name(path.parent.name) else None


def group_by_split(files: Iterable[Path], where: str) -> dict[str | None, list[Path]]:
    """Files by split, in sorted order; one group named None if no file names a split.

    Raises:
        UsageError: some files name a split and others do not.
    """
    groups: dict[str | None, list[Path]] = {}
    for path in sorted(files):
        groups.setdefault(split_of_file(path), []).append(path)
    if None in groups and len(groups) > 1:
        raise UsageError(
            f"{where} mixes files that name a split ({next(iter(groups[s][0].name for s in groups if s))}) with files "
            f"that do not ({groups[None][0].name}): name the files wanted with a pattern such as 'train-*'"
        )
    return groups


def split_order(splits: Iterable[str]) -> list[str]:
    """Splits in the order in which people name them."""
    rank = ("train", "validation", "test", "unlabeled")
    return sorted(splits, key=lambda split: (rank.index(_ALIASES[split.lower()]), split))


def expand_pattern(pattern: str) -> list[Path]:
    """The files that a pattern with `{a,b}`, `{000..003}`, `*`, `?` or `[...]` names, sorted within each brace.

    Raises:
        UsageError: a part of the pattern that no file matches; of a range, every file must be there.
    """
    found: list[Path] = []
    for part in expand_braces(os.path.expanduser(pattern)):
        matches = sorted(glob(part, recursive=True)) if has_wildcard(part) else [part] if os.path.exists(part) else []
        if not matches:
            of = f" (of {pattern})" if part != pattern else ""
            ends = "; a part in brackets ends with ]" if pattern.count("[") > pattern.count("]") else ""
            raise UsageError(f"no file matches {part}{of}{ends}")
        found += map(Path, matches)
    return list(dict.fromkeys(found))


def has_wildcard(text: str) -> bool:
    """Whether a path is a glob pattern."""
    return any(character in text for character in "*?[")


def is_pattern(text: str) -> bool:
    """Whether a path stands for several."""
    return has_wildcard(text) or re.search(r"\{[^{}]*(,|\.\.)[^{}]*\}", text) is not None


def expand_braces(text: str) -> Iterator[str]:
    """`{a,b}` and `{000..012}` (zero-padded as written) expanded as a shell does; several multiply."""
    match = re.search(r"\{([^{}]*)\}", text)
    if match is None:
        yield text
        return
    before, after = text[: match.start()], text[match.end() :]
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        width = max(map(len, numbers.groups())) if any(n.startswith("0") for n in numbers.groups()) else 0
        parts: Iterable[str] = (f"{n:0{width}d}" for n in range(first, last + 1))
        if last < first or last - first >= 1_000_000:
            raise UsageError(f"the range {match[0]} in {text} is empty or longer than a million")
    else:
        parts = match[1].split(",")
    for part in parts:
        yield from expand_braces(before + part + after)
