"""Options of `synthcl eval ...`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import UsageError
from ..options.config import Config, option
from ..views.presets import PRESETS
from . import common

PROBES = ("lbfgs", "sgd")
PRECISIONS = ("fp32", "bf16")
KNN_PRESETS = {"moco": (200, 0.1), "dino": (20, 0.07)}
"""Neighbours and temperature: of the MoCo authors' CIFAR notebook, and of DINO (arXiv 2104.14294) with its published
code."""


def fraction_option():
    return option(1.0, help="Part of each class whose labels may be used, drawn by --seed.", above=0, maximum=1)


@dataclass(kw_only=True)
class EvaluationConfig(Config):
    """What all that fit a classifier share."""

    label_fraction: float = fraction_option()
    untrained: bool = option(False, help="Evaluate fresh weights instead: the baseline.")
    precision: str = option(
        "fp32", help="Precision of the encoder; bf16 is quicker and less exact.", choices=PRECISIONS
    )
    batch_size: int = option(256, help="Images a forward pass, or a step where there is training.", minimum=1)
    data_root: str | None = common.data_root_option()
    seed: int = common.seed_option()


@dataclass(kw_only=True)
class OneSetConfig(EvaluationConfig):
    """What an evaluation on one image set takes."""

    data: str = option(help="Images to fit on, with labels (as for train).", metavar="SPEC")
    test_data: str | None = option(
        None, help="Images to score on; the test or validation split of --data if not given.", metavar="SPEC"
    )


@dataclass(kw_only=True)
class KnnConfig(OneSetConfig):
    preset: str = option(
        "moco", help="Neighbours and temperature: moco is 200 and 0.1, dino is 20 and 0.07.", choices=tuple(KNN_PRESETS)
    )
    k: int | None = option(None, help="Neighbours, instead of the preset's.", minimum=1)
    temperature: float | None = option(
        None, help="Temperature of the votes' weights, instead of the preset's.", above=0
    )

    def check_given(self, names: Iterable[str]) -> None:
        super().check_given(names)
        if "preset" in names and None not in (self.k, self.temperature):
            raise UsageError("--preset says nothing beside --k and --temperature, which say both; leave it out")

    @property
    def neighbours(self) -> int:
        """k, from the option or the preset."""
        return self.k if self.k is not None else KNN_PRESETS[self.preset][0]

    @property
    def vote_temperature(self) -> float:
        """t, from the option or the preset."""
        return self.temperature if self.temperature is not None else KNN_PRESETS[self.preset][1]


@dataclass(kw_only=True)
class LinearConfig(OneSetConfig):
    probe: str = option(
        "lbfgs",
        help="How the classifier is fitted: lbfgs, exactly, on fixed features; sgd, as is usual in the field, with "
        "augmentation, through the frozen encoder.",
        choices=PROBES,
    )
    l2: float | None = option(
        None,
        help="lbfgs: penalty on the classifier's weights, 1/(C N) of scikit-learn's C; chosen on a part of the "
        "training images if not given.",
        above=0,
        needs="probe=lbfgs",
    )
    epochs: int = option(100, help="sgd: passes over the labeled images.", minimum=1, needs="probe=sgd")
    learning_rate: float = option(
        30.0,
        help="sgd: learning rate for a batch of 256, scaled with --batch-size; 30 is MoCo's, 0.1 is usual for SimCLR.",
        above=0,
        needs="probe=sgd",
    )
    weight_decay: float = option(0.0, help="sgd: weight decay of the classifier.", minimum=0, needs="probe=sgd")
    views: str | None = option(
        None,
        help="sgd: augmentation preset; random crops and flips if not given (digits: crops).",
        choices=tuple(PRESETS),
        needs="probe=sgd",
    )


@dataclass(kw_only=True)
class FinetuneConfig(OneSetConfig):
    epochs: int = option(30, help="Passes over the labeled images. Ours.", minimum=1)
    learning_rate: float = option(
        0.02, help="Learning rate of the encoder, for a batch of 256, scaled with --batch-size. Ours.", above=0
    )
    head_learning_rate: float = option(0.2, help="Learning rate of the classifier, likewise. Ours.", above=0)
    weight_decay: float = option(1e-4, help="Weight decay of all weights. Ours.", minimum=0)
    views: str | None = option(
        None, help="Augmentation preset; random crops and flips if not given (digits: crops).", choices=tuple(PRESETS)
    )


@dataclass(kw_only=True)
class TransferConfig(EvaluationConfig):
    data: list[str] = option(
        [], help="Images to fit on, with labels; may be repeated, for several sets.", metavar="SPEC"
    )
    test_data: list[str] = option(
        [],
        help="Images to score on, one for each --data in the same order; their test splits if not given.",
        metavar="SPEC",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise UsageError("Missing option '--data': give one image set or more")
        if self.test_data and len(self.test_data) != len(self.data):
            raise UsageError(
                f"--test-data is given {len(self.test_data)} times and --data {len(self.data)} times; give one for each"
            )


@dataclass(kw_only=True)
class QualityConfig(Config):
    data: str = option(help="Real images, best those the generator was trained on (as for train).", metavar="SPEC")
    held_out_data: str | None = option(
        None, help="Real images it has not seen; the test or validation split of --data if not given.", metavar="SPEC"
    )
    encoder: str = option(
        "random:resnet18",
        help="Frozen encoder to measure in: a run of train, best on real images alone, or random:BACKBONE. Numbers "
        "compare only within one encoder.",
        metavar="RUN",
    )
    num_samples: int | None = option(
        None, help="Images of each kind at most, 10,000 if not given; the Fréchet distance depends on it.", minimum=2
    )
    k: int = option(5, help="Neighbour that sets the radius, for precision, recall, density and coverage.", minimum=1)
    per_class: bool = option(
        False,
        help="Measure each class by itself too, where both kinds of images have labels, the same numbers.",
    )
    scores: str | None = option(
        None, help="Keep each sample's scores in the shard set, as a side table of this name.", metavar="NAME"
    )
    overwrite: bool = option(False, help="Replace a table of the name that --scores gives.", needs="scores")
    batch_size: int = option(256, help="Images a forward pass.", minimum=1)
    data_root: str | None = common.data_root_option()
    seed: int = common.seed_option()


@dataclass(kw_only=True)
class AlignmentConfig(Config):
    data: str = option(help="Images; the test or validation split unless another is named.", metavar="SPEC")
    views: str = option("mocov2-cifar", help="Augmentation of the positive pairs.", choices=tuple(PRESETS))
    num_images: int = option(10_000, help="Images at most.", minimum=2)
    batch_size: int = option(256, help="Images a forward pass.", minimum=1)
    data_root: str | None = common.data_root_option()
    seed: int = common.seed_option()
