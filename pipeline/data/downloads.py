"""torchvision's data sets by name, downloaded where there is internet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..images.decoding import resize_images
from .memory import MemoryStore


class Download(NamedTuple):
    """How torchvision calls a data set and its splits."""

    class_name: str
    splits: dict[str, dict[str, Any]]
    """Split to the arguments that give it."""


_BY_FLAG = {"train": {"train": True}, "test": {"train": False}}
_BY_NAME = {"train": {"split": "train"}, "test": {"split": "test"}}
DOWNLOADS = {
    "cifar10": Download("CIFAR10", _BY_FLAG),
    "cifar100": Download("CIFAR100", _BY_FLAG),
    "stl10": Download("STL10", {**_BY_NAME, "unlabeled": {"split": "unlabeled"}}),
    "fashion-mnist": Download("FashionMNIST", _BY_FLAG),
    "mnist": Download("MNIST", _BY_FLAG),
    "svhn": Download("SVHN", _BY_NAME),
}


def default_data_root() -> Path:
    """`synthcl/data` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synthcl" / "data"


def open_download(dataset: str, split: str, name: str, image_size: int | None, data_root: Path | None) -> MemoryStore:
    """A split of one of `DOWNLOADS`, from `data_root` or else downloaded into it.

    Raises:
        DataError: it is not there and cannot be downloaded.
    """
    root = data_root or default_data_root()
    source = _load(dataset, split, root)
    images = _to_rgb(source.data)
    labels = getattr(source, "targets", None)
    labels = getattr(source, "labels", None) if labels is None else labels
    labels = None if labels is None or split == "unlabeled" else np.asarray(labels, dtype=np.int64)
    return MemoryStore(
        resize_images(images, image_size or images.shape[-1]), name, labels, getattr(source, "classes", None)
    )


def _load(dataset: str, split: str, root: Path) -> Any:
    import torchvision.datasets

    download = DOWNLOADS[dataset]
    build, options = getattr(torchvision.datasets, download.class_name), download.splits[split]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f".{dataset}.lock"), contextlib.redirect_stdout(sys.stderr):
            try:
                return build(str(root), download=False, **options)
            except RuntimeError:  # not there, or damaged
                return build(str(root), download=True, **options)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
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
def _lock(path: Path) -> Iterator[None]:
    """One process at a time: the ranks of a run would download into the same file."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
