"""The data sets that torchvision has and a SPEC calls by name: an entry each, and suites of them to transfer to.

What is customary is that of Kornblith et al. 2018 (arXiv 1805.08974, table 1), which SimCLR follows (arXiv 2002.05709,
appendix B.8): which split a classifier is fitted to, which it is scored on, and by what. Imports neither torch nor
NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

TOP1, MEAN_PER_CLASS = "top1", "mean_per_class"
"""The measures of a classifier, as results call them: the part of the images that is right, and the mean of that over
classes, for sets whose classes differ in size."""


Splits: TypeAlias = Mapping[str, tuple[dict[str, Any], ...]]


class Drawn(NamedTuple):
    """A split of ours, class by class at random, of a set that has none in torchvision. It never changes.

    Attributes:
        train: images of a class to fit on: a number, or a part of them.
        test: images of a class to score on; all others if not given.
    """

    train: int | float
    test: int | None = None


@dataclass(frozen=True)
class NamedSet:
    """A data set of torchvision.

    Attributes:
        class_name: the class that reads it.
        splits: by the name of a split, the arguments that give it: of several, all of whose images make it.
        metric: by which it is customarily scored, `TOP1` or `MEAN_PER_CLASS`.
        fitted_on: the split that it is customarily fitted on, for the score on `test`.
        in_files: whether its images are files of their own, of any size; else torchvision reads all into memory.
        drawn: how `train` and `test` are drawn, where torchvision has no splits.
        downloaded: whether torchvision can download it.
        about: what a reader of its numbers must know.
    """

    class_name: str
    splits: Splits
    metric: str = TOP1
    fitted_on: str = "train"
    in_files: bool = False
    drawn: Drawn | None = None
    downloaded: bool = True
    about: str = field(default="", compare=False)


def _splits(option: str, **names: Any) -> Splits:
    """Splits that one argument chooses: `test="test"`, or of several values, `trainval=("train", "val")`."""
    values = {name: value if isinstance(value, tuple) else (value,) for name, value in names.items()}
    return {name: tuple({option: one} for one in several) for name, several in values.items()}


_BY_FLAG = _splits("train", train=True, test=False)
_BY_NAME = _splits("split", train="train", test="test")
_WITH_VALIDATION = _splits("split", train="train", val="val", trainval=("train", "val"), test="test")
_WITHOUT: Splits = {"train": ({},), "test": ({},)}

NAMED_SETS = {
    "cifar10": NamedSet("CIFAR10", _BY_FLAG),
    "cifar100": NamedSet("CIFAR100", _BY_FLAG),
    "stl10": NamedSet("STL10", {**_BY_NAME, **_splits("split", unlabeled="unlabeled")}),
    "fashion-mnist": NamedSet("FashionMNIST", _BY_FLAG),
    "mnist": NamedSet("MNIST", _BY_FLAG),
    "svhn": NamedSet("SVHN", _BY_NAME),
    "food101": NamedSet("Food101", _BY_NAME, in_files=True),
    "sun397": NamedSet(
        "SUN397", _WITHOUT, in_files=True, drawn=Drawn(50, 50),
        about="50 images of a class against 50 others, drawn by us; the published partitions are of that size",
    ),
    "stanford-cars": NamedSet("StanfordCars", _BY_NAME, in_files=True, downloaded=False),
    "fgvc-aircraft": NamedSet(
        "FGVCAircraft", _WITH_VALIDATION, MEAN_PER_CLASS, "trainval", in_files=True, about="the 100 variants",
    ),
    "dtd": NamedSet(
        "DTD", _WITH_VALIDATION, fitted_on="trainval", in_files=True, about="the first of its 10 partitions",
    ),
    "oxford-pets": NamedSet(
        "OxfordIIITPet", _splits("split", train="trainval", test="test"), MEAN_PER_CLASS, in_files=True,
    ),
    "caltech101": NamedSet(
        "Caltech101", _WITHOUT, MEAN_PER_CLASS, in_files=True, drawn=Drawn(30),
        about="30 images of a class, drawn by us, against all others; the 101 classes, without the background",
    ),
    "flowers102": NamedSet("Flowers102", _WITH_VALIDATION, MEAN_PER_CLASS, "trainval", in_files=True),
    "eurosat": NamedSet(
        "EuroSAT", _WITHOUT, in_files=True, drawn=Drawn(0.8),
        about="four fifths of each class, drawn by us, against the rest",
    ),
}  # fmt: skip
"""By the name that a SPEC calls it."""


def metric_of(dataset: str) -> str:
    """By what the images at a SPEC's location are customarily scored: `TOP1`, too for all that are not in the table."""
    return NAMED_SETS[dataset].metric if dataset in NAMED_SETS else TOP1


def is_in_files(dataset: str) -> bool:
    """Whether a set is in the table, and its images are files of their own."""
    return dataset in NAMED_SETS and NAMED_SETS[dataset].in_files


class Suite(NamedTuple):
    """Sets to transfer to together.

    Attributes:
        about: what they are, in words.
        sets: their names.
        part: of the images to fit on, as a SPEC has it.
        metric: of all of them; each one's own if not given.
    """

    about: str
    sets: tuple[str, ...]
    part: str = ""
    metric: str | None = None

    def specs(self) -> list[tuple[str, str]]:
        """Of each set the SPECs of the images to fit on and to score on."""
        return [(f"{name}:{NAMED_SETS[name].fitted_on}{self.part}", f"{name}:test") for name in self.sets]

    def metrics(self) -> list[str]:
        """Of each set by what it is scored."""
        return [self.metric or NAMED_SETS[name].metric for name in self.sets]


_FINE_GRAINED = ("food101", "stanford-cars", "fgvc-aircraft", "oxford-pets", "flowers102")

SUITES = {
    "natural": Suite(
        "photographs",
        ("food101", "cifar10", "cifar100", "stl10", "stanford-cars", "fgvc-aircraft", "dtd", "oxford-pets",
         "caltech101", "flowers102", "eurosat"),
    ),
    "kornblith": Suite(  # Birdsnap is not in torchvision, and images of VOC 2007 have several labels
        "those of arXiv 1805.08974",
        ("food101", "cifar10", "cifar100", "sun397", "stanford-cars", "fgvc-aircraft", "dtd", "oxford-pets",
         "caltech101", "flowers102"),
    ),
    "fine-grained": Suite("kinds of one thing", _FINE_GRAINED),
    "small": Suite("96 pixels a side at most", ("cifar10", "cifar100", "stl10", "svhn", "eurosat")),
    "vtab-like": Suite(  # VTAB-1k draws its 1,000 in another way
        "1,000 images of each and top-1 alone, as in VTAB, arXiv 1910.04867",
        ("caltech101", "cifar100", "dtd", "flowers102", "oxford-pets", "sun397", "svhn", "eurosat"),
        part="[:1000,balanced]",
        metric=TOP1,
    ),
}  # fmt: skip
"""By name."""
