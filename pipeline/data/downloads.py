"""torchvision's data sets by name, downloaded where there is internet."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..images.decoding import resize_images
from ..randomness import Key
from .catalogue import NAMED_SETS, Drawn
from .folders import FileStore
from .labels import rank_within_class
from .memory import MemoryStore
from .store import ImageStore

log = logging.getLogger(__name__)


def default_data_root() -> Path:
    """`synthcl/data` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synthcl" / "data"


def open_download(dataset: str, split: str, name: str, image_size: int | None, data_root: Path | None) -> ImageStore:
    """A split of one of `NAMED_SETS`, from `data_root` or else downloaded into it.

    Args:
        dataset: its name.
        split: one of its splits.
        name: how the user called it.
        image_size: pixels a side; None for the images' own size.
        data_root: folder of the sets; `default_data_root()` if not given.

    Raises:
        DataError: it is not there and cannot be downloaded.
    """
    root = data_root or default_data_root()
    parts = [_load(dataset, options, root) for options in NAMED_SETS[dataset].splits[split]]
    if NAMED_SETS[dataset].in_files:
        return _file_store(dataset, split, parts, name, image_size)
    (source,) = parts
    images = _to_rgb(source.data)
    labels = getattr(source, "targets", None)
    labels = getattr(source, "labels", None) if labels is None else labels
    labels = None if labels is None or split == "unlabeled" else np.asarray(labels, dtype=np.int64)
    size = images.shape[-1]
    return MemoryStore(
        resize_images(images, image_size or size), name, labels, getattr(source, "classes", None), resized_from=size
    )


def _file_store(dataset: str, split: str, parts: Sequence[Any], name: str, image_size: int | None) -> FileStore:
    samples = [sample for part in parts for sample in _SAMPLES[NAMED_SETS[dataset].class_name](part)]
    drawn = NAMED_SETS[dataset].drawn
    if drawn is not None:
        labels = torch.tensor([label for _, label in samples])
        samples = [samples[i] for i in draw_split(labels, drawn, split, dataset).tolist()]
    files, numbers = zip(*samples, strict=True)
    return FileStore(
        [Path(file) for file in files], name, image_size, np.array(numbers, dtype=np.int64), class_names(parts[0])
    )


def class_names(source: Any) -> list[str] | None:
    """What torchvision calls the classes of a set, if it does."""
    found = getattr(source, "classes", None) or getattr(source, "categories", None)
    return None if found is None else [str(one) for one in found]


def draw_split(labels: Tensor, drawn: Drawn, split: str, dataset: str) -> Tensor:
    """The images of a split of ours: of each class some at random, the same whatever the seed of a command.

    Args:
        labels: (N,) int64, of all images, in torchvision's order.
        drawn: how many go to which split.
        split: `train` or `test`.
        dataset: the name of the set, which names the draw.

    Returns:
        (M,) int64 ascending.

    Raises:
        DataError: a class of too few images, as where files were lost.
    """
    order, rank, size = rank_within_class(labels, Key.from_seed(0).child("data", "split", dataset))
    train = (
        (drawn.train * size).round().long() if isinstance(drawn.train, float) else torch.full_like(size, drawn.train)
    )
    short = size <= train if drawn.test is None else size < train + drawn.test
    if short.any():
        raise DataError(
            f"a class of {dataset} has only {int(size[short][0])} images, too few for {split}: files are missing; "
            "remove its folder to have it downloaded again"
        )
    chosen = rank < train if split == "train" else rank >= train
    if split == "test" and drawn.test is not None:
        chosen &= rank < train + drawn.test
    return order[chosen].sort().values


def _pairs(source: Any) -> list[tuple[Any, int]]:
    return list(zip(source._image_files, source._labels, strict=True))


def _caltech(source: Any) -> list[tuple[Any, int]]:
    folder = Path(source.root) / "101_ObjectCategories"
    numbered = zip(source.index, source.y, strict=True)
    return [(folder / source.categories[label] / f"image_{number:04d}.jpg", label) for number, label in numbered]


_SAMPLES: dict[str, Callable[[Any], list[tuple[Any, int]]]] = {
    "Food101": _pairs,
    "SUN397": lambda source: sorted(_pairs(source)),  # torchvision's order is that of the disk
    "StanfordCars": lambda source: [(file, int(label)) for file, label in source._samples],
    "FGVCAircraft": _pairs,
    "DTD": _pairs,
    "OxfordIIITPet": lambda source: list(zip(source._images, source._labels, strict=True)),
    "Caltech101": _caltech,
    "Flowers102": _pairs,
    "EuroSAT": lambda source: source.samples,
}
"""Files and labels of torchvision's data sets, by class: each keeps them in attributes of its own. The tests compare
them with the images that these classes give."""


def _load(dataset: str, options: dict[str, Any], root: Path) -> Any:
    import torchvision.datasets

    build = getattr(torchvision.datasets, NAMED_SETS[dataset].class_name)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f".{dataset}.lock") as unlocked, contextlib.redirect_stdout(sys.stderr):
            try:
                return build(str(root), download=False, **options)
            except RuntimeError:  # not there, or damaged
                if not NAMED_SETS[dataset].downloaded:
                    raise DataError(
                        f"{dataset} is not in {root}, and its publisher has withdrawn the download: copy torchvision's "
                        f"files of it there, or name their folder with --data-root"
                    ) from None
                if unlocked is not None:
                    _check_unlocked(dataset, root, unlocked)
                return build(str(root), download=True, **options)
    except DataError:
        raise
    except (
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
    ) as error:  # URLError is an OSError; files that are not whole
        raise DataError(
            f"{dataset} is not in {root} and could not be downloaded ({error}): copy torchvision's files of it there, "
            f"name their folder with --data-root, or give --data a path to images of your own"
        ) from error


def _to_rgb(data: np.ndarray | Tensor) -> Tensor:
    """torchvision's (N, H, W), (N, H, W, 3) or (N, 3, H, W) as (N, 3, H, W)."""
    images = torch.as_tensor(data)
    if images.dim() == 3:
        images = images[:, None].expand(-1, 3, -1, -1)
    elif images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2)
    return images.contiguous()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[OSError | None]:
    """One process at a time: the ranks of a run would download into the same file. Gives why it has none, or None."""
    with open(path, "w") as file:
        unlocked: OSError | None = None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            unlocked = error
        yield unlocked


def _check_unlocked(dataset: str, root: Path, unlocked: OSError) -> None:
    """Raises DataError where several processes would download at once; one is told to be alone."""
    from ..runtime.distributed import is_alone

    cannot = f"{root} cannot be locked ({unlocked.strerror})"
    if not is_alone():
        raise DataError(
            f"{dataset} is not in {root}, and the processes would download it into the same files at once, since "
            f"{cannot}: have one process download it first, or name a folder on another file system with --data-root"
        )
    log.warning("%s: see to it that no other process downloads %s meanwhile", cannot, dataset)
