"""From a SPEC to an image store: which source it names, which splits that has, and how to open one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from ..errors import DataError, UsageError
from ..hub.locations import is_hub_location
from .catalogue import NAMED_SETS, is_in_files
from .folder_openers import find_folder_opener, markers
from .paths import IMAGE_EXTENSIONS, find_images, has_images
from .specs import (
    DATASETS,
    choose_split,
    expand_pattern,
    group_by_split,
    held_out_split,
    is_pattern,
    is_split_name,
    parse_spec,
    path_exists,
    split_order,
)
from .store import ImageStore

UNLABELED = "unlabeled"
"""The split of a set called by name that has no labels."""
_CONTAINERS = (".parquet", ".tar")


class Source(NamedTuple):
    """Where images come from: the splits it has (none: an empty list) and what opens one (None: all of it)."""

    splits: list[str]
    open: Callable[[str | None, str, int | None], ImageStore]
    """(split, name, image_size) to a store."""
    unlabelled: Callable[[str | None], bool] = lambda split: False
    """Whether the images of a split surely have no labels, as far as can be told without reading them."""


def open_images(
    spec: str,
    *,
    image_size: int | None = None,
    split: str | None = None,
    data_root: str | Path | None = None,
    as_read: bool = False,
) -> ImageStore:
    """Open the images that a SPEC names.

    Args:
        spec: a name (`digits`, `cifar10`, ...) or a path: an image folder, Parquet (a file or a folder), WebDataset
            tars (a file or a folder), a shard set, a pattern (`shards/{000000..000003}.tar`, `data/train-*`), or any of
            these on the Hugging Face hub (`hf://datasets/USER/NAME`); with `:split` after it where the source has
            splits, and a part of them in brackets (`[:10%]`, see slices.py).
        image_size: pixels a side; images of another size are resized (short side) and centre-cropped. None is their
            own size, if they are square and all of one size.
        split: what to open where the SPEC names no split and the source has some; None is `train`.
        data_root: where data sets called by name lie, or are downloaded to.
        as_read: whether images of a set that lies whole in memory are brought to `image_size` only as they are read:
            for a size at which all of them might not fit.

    Raises:
        UsageError: a SPEC that names nothing, a split that is not there, or a part that is malformed, empty or outside
            of the set, or balanced without labels.
        DataError: images that cannot be read.
    """
    parsed = parse_spec(spec)
    if image_size is not None and image_size < 1:
        raise UsageError(f"--image-size {image_size} is below 1: give pixels a side")
    source = find_source(parsed.location, data_root)
    chosen = choose_split(parsed, source.splits, split)
    name = f"{parsed.location}:{chosen}" if chosen else parsed.location
    # Some sets called by name lie whole in memory.
    whole = parsed.location in DATASETS and not is_in_files(parsed.location)
    if parsed.part is None:
        if not (whole and as_read) or image_size is None:
            return source.open(chosen, name, image_size)
        from .memory import ResizedStore

        return ResizedStore(source.open(chosen, name, None), image_size)
    from .parts import open_part

    # These are opened at their own size, and only the part is resized.
    return open_part(source.open(chosen, name, None if whole else image_size), parsed.part, image_size)


def splits_of(spec: str) -> list[str]:
    """The splits of the source that a SPEC names, whichever of them it asks for; empty where it has none.

    Raises:
        UsageError: as `open_images`.
    """
    return find_source(parse_spec(spec).location, None).splits


def test_spec(spec: str) -> str | None:
    """The SPEC of the split of the same source that is held out for scoring, all of it: test, else validation; None
    without one, or where the SPEC asks for (a part of) that very split."""
    parsed = parse_spec(spec)
    splits = splits_of(spec)
    held_out = held_out_split(splits)
    if held_out is None or held_out == choose_split(parsed, splits, None):
        return None
    return f"{parsed.location}:{held_out}"


def may_have_labels(spec: str) -> bool:
    """Whether the images that a SPEC names may have labels; False for image files that lie in no folders of classes,
    Parquet files without a column of labels, tars whose first samples have no class.

    Raises:
        UsageError: as `open_images`.
        DataError: a file that is no Parquet, or no tar.
    """
    parsed = parse_spec(spec)
    source = find_source(parsed.location, None)
    return not source.unlabelled(choose_split(parsed, source.splits, None))


def find_source(location: str, data_root: str | Path | None) -> Source:
    """The source at a name, a path or a pattern."""
    if location in DATASETS:
        return _named_source(location, data_root)
    if is_hub_location(location):
        return _source_on_the_hub(location)
    if is_pattern(location) and not path_exists(location):
        return _source_of_files(expand_pattern(location), location)
    path = Path(location).expanduser()
    if path.is_dir():
        return _source_of_folder(path)
    if path.is_file():
        return _source_of_files([path], location)
    raise UsageError(_nothing_there(location, path))


def _named_source(dataset: str, data_root: str | Path | None) -> Source:
    if dataset == "digits":
        from .digits import SPLITS, open_digits

        return Source(list(SPLITS), lambda split, name, size: open_digits(split or SPLITS[0], name, size))
    from .downloads import open_download

    root = Path(data_root).expanduser() if data_root else None
    splits = list(NAMED_SETS[dataset].splits)
    return Source(
        splits,
        lambda split, name, size: open_download(dataset, split or splits[0], name, size, root),
        lambda split: split == UNLABELED,
    )


def _source_of_folder(folder: Path) -> Source:
    if (folder / "run.json").is_file() and (folder / "config.yaml").is_file():
        raise UsageError(f"{folder} is the folder of a run, whose pictures are no images to read; name its --data")
    opener = find_folder_opener(folder)
    if opener is not None:
        return Source([], lambda split, name, size: opener(folder, size))
    found = {kind: _find_containers(folder, kind) for kind in _CONTAINERS}
    kinds = [kind for kind, files in found.items() if files]
    if not kinds:
        return _source_of_images(folder)
    if len(kinds) > 1 or find_images(folder):
        others = kinds[1] if len(kinds) > 1 else "image"
        raise UsageError(
            f"{folder} holds {kinds[0]} files and {others} files: name those wanted, as in '{folder}/*{kinds[0]}'"
        )
    return _source_of_files(found[kinds[0]], str(folder))


def _source_on_the_hub(location: str) -> Source:
    """Containers before images: a repository of containers often has pictures for its card too."""
    images = tuple(f"*{ending}" for name in IMAGE_EXTENSIONS for ending in (name, name.upper()))
    kinds = (tuple(markers()), ("*.tar",), ("*.parquet",), images)
    from ..hub.fetching import fetch

    found = fetch(location, kinds, "tars, Parquet files or images")
    if not found.is_dir():
        return find_source(str(found), None)
    opener = find_folder_opener(found)
    if opener is not None:  # which reads from where it is: all files of a folder of its kind need not be here
        return Source([], lambda split, name, size: opener(location, size))
    for kind in _CONTAINERS:
        files = [path for path in found.rglob(f"*{kind}") if not path.relative_to(found).parts[0].startswith(".")]
        if files:
            _check_one_set(files, found, location)
            return _source_of_files(files, location)
    return _source_of_images(found)


def _check_one_set(files: Sequence[Path], folder: Path, location: str) -> None:
    """Raises UsageError where the folders of a repository on the hub are sets of their own, as its configurations
    are."""
    folders = {path.relative_to(folder).parent.as_posix() for path in files}
    sets = sorted(name for name in folders if not is_split_name(PurePath(name).name))
    if len(sets) > 1:
        raise UsageError(
            f"{location} holds several sets, in the folders {', '.join(sets[:5])}: name one, as in "
            f"{location}/{next(name for name in sets if name != '.')}"
        )


def _find_containers(folder: Path, kind: str) -> list[Path]:
    """The files of a kind in a folder and in its subfolders, no deeper: `train-000.tar`, `train/000.tar`."""
    files = [*folder.glob(f"*{kind}"), *folder.glob(f"*/*{kind}")]
    return [f for f in files if f.is_file() and not any(p.startswith(".") for p in f.relative_to(folder).parts)]


def _source_of_files(files: Sequence[Path], location: str) -> Source:
    kinds = {path.suffix.lower() for path in files}
    if kinds <= set(IMAGE_EXTENSIONS) and all(path.is_file() for path in files):
        return Source([], lambda split, name, size: _open_files(files, name, size), lambda split: True)
    if len(kinds) > 1 or not kinds <= set(_CONTAINERS):
        wrong = next(path for path in files if path.suffix.lower() not in _CONTAINERS or len(kinds) > 1)
        raise DataError(
            f"{wrong} is no image file, Parquet file or uncompressed tar: "
            f"give a folder of images, .parquet or .tar files, or a pattern that matches files of one kind"
        )
    groups = group_by_split(files, location)
    splits = split_order(split for split in groups if split is not None)
    parquet = kinds == {".parquet"}
    opener = _open_parquet if parquet else _open_tars

    def unlabelled(split: str | None) -> bool:
        if parquet:
            from .parquet import lacks_labels
        else:
            from .tars import lacks_labels
        return lacks_labels(groups[split])

    return Source(splits, lambda split, name, size: opener(groups[split], files, name, size), unlabelled)


def _source_of_images(folder: Path) -> Source:
    """Two or more subfolders that are called as splits are, or one alone, are splits; else subfolders are classes."""
    subfolders = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    splits = {entry.name: entry for entry in subfolders if is_split_name(entry.name)}
    if len(splits) == 1 and len(subfolders) > 1:
        splits = {}  # a class may well be called train
    folders = list(splits.values()) or [folder]

    def open_split(split: str | None, name: str, image_size: int | None) -> ImageStore:
        return _open_images(splits.get(split or "", folder), folders, name, image_size)

    return Source(split_order(splits), open_split, lambda split: has_images(splits.get(split or "", folder)))


# The stores are imported where they are opened: each brings libraries along that the others do without.


def _open_parquet(files: Sequence[Path], all_files: Sequence[Path], name: str, image_size: int | None) -> ImageStore:
    from .parquet import ParquetStore

    return ParquetStore(files, all_files, name, image_size)


def _open_tars(files: Sequence[Path], all_files: Sequence[Path], name: str, image_size: int | None) -> ImageStore:
    from .tars import TarStore

    return TarStore(files, all_files, name, image_size)


def _open_files(files: Sequence[Path], name: str, image_size: int | None) -> ImageStore:
    from .folders import FileStore

    return FileStore(files, name, image_size)


def _open_images(folder: Path, all_folders: Sequence[Path], name: str, image_size: int | None) -> ImageStore:
    from .folders import open_folder

    return open_folder(folder, all_folders, name, image_size)


def _nothing_there(location: str, path: Path) -> str:
    """A missing path, with what it may have been meant to be."""
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(location, DATASETS, n=2)
    near += [str(path.parent / name) for name in difflib.get_close_matches(path.name, siblings, n=2)]
    meant = f" (did you mean {' or '.join(near)}?)" if near else ""
    return (
        f"there is no data at {location!r}{meant}: give a path to images, Parquet files or tars, "
        f"or one of {', '.join(DATASETS)}"
    )
