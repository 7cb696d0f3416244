"""A classification task: an encoder, images to fit on and images to score on, checked to fit together.

Shapes: N training images of which M may be used with their labels, C classes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data import ImageStore, open_images, test_spec
from ..data.parts import PartStore
from ..data.specs import parse_spec
from ..data.store import count_shared, unlabelled
from ..encoder import Encoder, find_encoder, load_encoder
from ..errors import DataError, UsageError
from ..randomness import Key
from ..runs.folder import read_config
from .subsets import labeled_subset

log = logging.getLogger(__name__)


@dataclass
class Task:
    """What a probe needs to know.

    Attributes:
        home: the run's folder, or the encoder's own where there is no run.
        encoder: whose features are probed.
        train, test: the images.
        train_labels, test_labels: (N,) and (len(test),) int64 in [0, C).
        subset: (M,) int64, which training images may be used with their labels.
        classes: the C names.
        warnings: what a reader of the result must know, a sentence each.
        scored_on_training_split: whether test images are among those of the probe's or of the encoder's training.
    """

    home: Path
    encoder: Encoder
    train: ImageStore
    test: ImageStore
    train_labels: Tensor
    test_labels: Tensor
    subset: Tensor
    classes: list[str]
    warnings: list[str] = field(default_factory=list)
    scored_on_training_split: bool = False

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.classes)

    @property
    def subset_labels(self) -> Tensor:
        """(M,) the labels that may be used."""
        return self.train_labels[self.subset]

    def warn(self, text: str) -> None:
        """Note something for the result, and say it."""
        self.warnings.append(text)
        log.warning(text)


def open_task(
    run: str | Path,
    data: str,
    *,
    test_data: str | None = None,
    label_fraction: float = 1.0,
    untrained: bool = False,
    data_root: str | None = None,
    seed: int = 0,
) -> Task:
    """Open an encoder, and images to fit and to score a probe on.

    Args:
        run: a run's folder or an encoder's.
        data: SPEC of the images to fit on.
        test_data: SPEC of the images to score on; the test (or validation) split of `data` if not given.
        label_fraction: part of each class whose labels may be used.
        untrained: take untrained weights instead of the trained ones.
        data_root: folder of data sets called by name.
        seed: for the choice of the labeled part and for untrained weights.

    Raises:
        UsageError: there is no split to score on.
        DataError: no encoder there, images without labels, or test classes that training lacks.
    """
    encoder = load_encoder(run)
    train, test, train_labels, test_labels, classes = open_labeled(
        data, test_data, image_size=encoder.image_size, data_root=data_root
    )
    subset = labeled_subset(train_labels, label_fraction, Key.from_seed(seed).child("evaluation", "labels"))
    home = find_home(run)
    task = Task(home, encoder, train, test, train_labels, test_labels, subset, classes)
    _flag_training_split(task, data_root)
    if untrained:
        task.encoder = encoder.untrained(seed)
    return task


def open_labeled(
    data: str, test_data: str | None, *, image_size: int | None, data_root: str | None = None
) -> tuple[ImageStore, ImageStore, Tensor, Tensor, list[str]]:
    """Images to fit on and to score on, their labels as numbers in [0, C), and the names of the C classes.

    Raises:
        UsageError: there is no split to score on.
        DataError: images without labels, or test classes that training lacks.
    """
    train = open_images(data, image_size=image_size, split="train", data_root=data_root)
    part = parse_spec(data).part
    scored = test_data or test_spec(data) or (train.name if part is None and train.name != data else None)
    if scored is None:
        raise UsageError(
            f"{data} has no test or validation split to score on; give --test-data SPEC, which may be another part of "
            "the same images, as [80%:,shuffled] is to [:80%,shuffled]"
        )
    test = open_images(scored, image_size=image_size, split="test", data_root=data_root)
    train_labels, test_labels, classes = match_labels(train, test)
    if len(classes) < 2:
        raise DataError(
            f"all images of {train.name} have the same label; a probe needs two classes or more{_fair_choice(train)}"
        )
    return train, test, train_labels, test_labels, classes


def find_home(run: str | Path) -> Path:
    """The run's folder if `run` is one, or holds the encoder of one; else the encoder's folder."""
    encoder = find_encoder(run)
    return encoder.parent if encoder.name == "encoder" and (encoder.parent / "run.json").exists() else encoder


def labels_of(store: ImageStore) -> np.ndarray:
    """A store's labels. Raises DataError if it has none, or not for all images."""
    if store.labels is None:
        raise DataError(f"{unlabelled(store.name, store.labels_problem)}, which this evaluation needs")
    missing = int((store.labels < 0).sum())
    if missing:
        raise DataError(f"{missing:,} of the {len(store):,} images of {store.name} have no label (-1)")
    return store.labels


def match_labels(train: ImageStore, test: ImageStore) -> tuple[Tensor, Tensor, list[str]]:
    """Labels of both as numbers in [0, C), and the classes' names; by name where both have names, else by number."""
    by_name = train.class_names is not None and test.class_names is not None
    names = [_class_keys(store, by_name) for store in (train, test)]
    classes, train_numbers = np.unique(names[0], return_inverse=True)
    unknown = sorted(set(names[1].tolist()) - set(classes.tolist()))
    if unknown:
        raise DataError(
            f"{test.name} has classes that {train.name} lacks: {', '.join(map(str, unknown[:5]))}; "
            f"the probe can only be scored on the classes it was fitted to{_fair_choice(train)}"
        )
    test_numbers = np.searchsorted(classes, names[1])
    titles = classes if by_name or train.class_names is None else [train.class_names[c] for c in classes]
    return torch.from_numpy(train_numbers.ravel()), torch.from_numpy(test_numbers), [str(c) for c in titles]


def _fair_choice(store: ImageStore) -> str:
    """For an error: what helps if a part lacks classes that its set has. Folders come class by class."""
    if not isinstance(store, PartStore):
        return ""
    return "; write ,balanced or ,shuffled after the slice for a part of every class"


def _class_keys(store: ImageStore, by_name: bool) -> np.ndarray:
    labels = labels_of(store)
    return np.asarray(store.class_names)[labels] if by_name and store.class_names is not None else labels


def _flag_training_split(task: Task, data_root: str | None) -> None:
    """Note it if images to score on are among those that the probe is fitted to, or that the encoder was trained on."""
    if shared := count_shared(task.test, task.train):
        task.scored_on_training_split = True
        task.warn(f"scored on {_which(task.test, shared)} that the probe is fitted to: this is no test accuracy")
        return
    trained_on = _encoder_data(task, data_root)
    if trained_on is not None and (shared := count_shared(task.test, trained_on)):
        task.scored_on_training_split = True
        task.warn(f"scored on {_which(task.test, shared)} that the encoder was trained on")


def _which(store: ImageStore, shared: int) -> str:
    if shared == len(store):
        return f"{store.name}, the very images"
    return f"{store.name}, {shared:,} of whose {len(store):,} images are among those"


def _encoder_data(task: Task, data_root: str | None) -> ImageStore | None:
    """The images that the run was trained on; None where that cannot be known."""
    try:
        spec = read_config(task.home)["data"]
        return open_images(spec, image_size=task.encoder.image_size, split="train", data_root=data_root)
    except (UsageError, DataError, KeyError) as error:
        log.debug("the images that %s was trained on cannot be compared: %s", task.home, error)
        return None
