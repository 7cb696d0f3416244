"""Options of `synthcl eval ...`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..data.catalogue import SUITES
from ..errors import UsageError
from ..options.config import Config, option
from ..options.types import did_you_mean, flag
from ..views.presets import PRESETS
from . import common

PROBES = ("lbfgs", "sgd")
PRECISIONS = ("fp32", "bf16")
KNN_PRESETS = {"moco": (200, 0.1), "dino": (20, 0.07)}
"""Neighbours and temperature: of the MoCo authors' CIFAR notebook, and of DINO (arXiv 2104.14294) with its published
code."""


def whole_numbers(name: str, text: str, *, maximum: int | None = None) -> list[int]:
    """The numbers of an option such as `--shots 1,5,10`, ascending, each once.

    Args:
        name: of the option.
        text: its value.
        maximum: the largest that it takes, if there is one.

    Raises:
        UsageError: something else than whole numbers of 1 or more.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= (maximum or int(part)) for part in parts):
        bound = "from 1 on" if maximum is None else f"from 1 to {maximum}"
        raise UsageError(f"{flag(name)} takes whole numbers {bound} with commas between, such as 1,5, not {text!r}")
    return sorted({int(part) for part in parts})


def shots_option(needs: str | tuple[str, ...] = ()):
    return option(
        None,
        help="Score classifiers of few labels too: of so many images of each class, such as 1,5,10, drawn by --seed "
        "--draws times.",
        metavar="K,K,...",
        needs=needs,
    )


def draws_option():
    return option(
        5, help="Draws for each number of --shots, whose mean and interval are told.", minimum=2, needs="shots"
    )


def fraction_option():
    return option(1.0, help="Part of each class whose labels may be used, drawn by --seed.", above=0, maximum=1)


@dataclass(kw_only=True)
class EvaluationConfig(Config):
    """What all that fit a classifier share."""

    label_fraction: float = fraction_option()
    untrained: bool = option(False, help="Evaluate untrained weights instead: the baseline.")
    precision: str = option(
        "fp32", help="Precision of the encoder; bf16 is quicker and less exact.", choices=PRECISIONS
    )
    batch_size: int = option(
        256,
        help="Images a forward pass; where the encoder or an SGD probe is trained, at most so many a step.",
        minimum=1,
    )
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
class FewLabelsConfig(OneSetConfig):
    """And of few labels. A subclass says how many, `shots`, and `draws`."""

    shots: str | None = shots_option()
    draws: int = draws_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shots is not None:
            self.shot_numbers()
            if self.label_fraction != 1:
                raise UsageError(
                    "--shots and --label-fraction both say how many labels there are; leave one of them out"
                )

    def shot_numbers(self) -> list[int]:
        """The numbers of `--shots`, ascending; none if it is not given."""
        return [] if self.shots is None else whole_numbers("shots", self.shots)


@dataclass(kw_only=True)
class KnnConfig(FewLabelsConfig):
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


class SgdSettings(NamedTuple):
    """How a classifier is trained with labels, and perhaps an encoder with it; rates are for a batch of 256, and scale
    with it.

    Attributes:
        learning_rate, head_learning_rate: of the encoder and of the classifier.
        weight_decay: of all weights.
        nesterov: whether the momentum is Nesterov's.
        cosine: whether the learning rate falls to 0 along a cosine; else it falls to a tenth twice.
        epochs: passes over the labeled images.
    """

    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    nesterov: bool
    cosine: bool
    epochs: int


@dataclass(kw_only=True)
class LinearConfig(FewLabelsConfig):
    shots: str | None = shots_option(needs="probe=lbfgs")
    probe: str = option(
        "lbfgs",
        help="How the classifier is fitted: lbfgs, exactly, on fixed features; sgd, as is usual in the field, with "
        "augmentation, through the frozen encoder.",
        choices=PROBES,
    )
    l2: float | None = option(
        None,
        help="lbfgs: penalty on the classifier's weights, 1/(C N) of scikit-learn's C, on standardised features; "
        "chosen of 1, 0.1, ... 1e-6 by cross-entropy on a part of the training images if not given.",
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

    def settings(self) -> SgdSettings:
        """Of sgd: the classifier alone is trained."""
        rate = self.learning_rate
        return SgdSettings(rate, rate, self.weight_decay, nesterov=False, cosine=False, epochs=self.epochs)


FINETUNE_PRESETS = {
    "ours": SgdSettings(0.02, 0.2, 1e-4, nesterov=False, cosine=False, epochs=30),
    "simclr": SgdSettings(0.05, 0.05, 0.0, nesterov=True, cosine=True, epochs=30),
}
"""Ours, and SimCLR's for a part of the labels (arXiv 2002.05709, section 4.2 and appendix B.5); that the rate falls is
in its published code alone."""
FEW_LABELS, FEW_LABELS_EPOCHS = 0.1, 60
"""SimCLR takes 60 epochs for 1% of the labels, and 30 for 10%: here 60 for all fractions below 10%, which is ours."""


@dataclass(kw_only=True)
class FinetuneConfig(OneSetConfig):
    preset: str = option(
        "ours",
        help="How it is trained: ours, or simclr, for a part of the labels as in the SimCLR paper: Nesterov momentum, "
        "0.05 for a batch of 256 along a cosine, no weight decay, 60 epochs for less than a tenth of the labels and 30 "
        "from there on.",
        choices=tuple(FINETUNE_PRESETS),
    )
    epochs: int | None = option(None, help="Passes over the labeled images, instead of the preset's.", minimum=1)
    learning_rate: float | None = option(
        None,
        help="Learning rate of the encoder for a batch of 256, scaled with --batch-size; the preset's if not given: "
        "0.02 of ours.",
        above=0,
    )
    head_learning_rate: float | None = option(
        None, help="Learning rate of the classifier, likewise: 0.2 of ours if not given.", above=0
    )
    layer_decay: float | None = common.layer_decay_option()
    weight_decay: float | None = option(
        None, help="Weight decay of all weights, instead of the preset's: 0.0001 of ours.", minimum=0
    )
    views: str | None = option(
        None, help="Augmentation preset; random crops and flips if not given (digits: crops).", choices=tuple(PRESETS)
    )

    def settings(self) -> SgdSettings:
        """The preset's, but for what is given."""
        preset = FINETUNE_PRESETS[self.preset]
        if self.preset == "simclr" and self.label_fraction < FEW_LABELS:
            preset = preset._replace(epochs=FEW_LABELS_EPOCHS)
        given: dict[str, Any] = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "head_learning_rate": self.head_learning_rate,
            "weight_decay": self.weight_decay,
        }
        return preset._replace(**{name: value for name, value in given.items() if value is not None})


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
    suite: str | None = option(
        None,
        help="Sets by a common name, instead of --data, with the splits and the measure that are customary for each: "
        + "; ".join(f"{name} ({suite.about})" for name, suite in SUITES.items())
        + ".",
        choices=tuple(SUITES),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.suite is not None and (self.data or self.test_data):
            raise UsageError(f"--suite {self.suite} names its sets itself; leave --data and --test-data out")
        if self.suite is not None:
            return
        if not self.data:
            raise UsageError("Missing option '--data': give one image set or more, or a --suite")
        if self.test_data and len(self.test_data) != len(self.data):
            raise UsageError(
                f"--test-data is given {len(self.test_data)} times and --data {len(self.data)} times; give one for each"
            )


CORRUPTIONS = (
    "gaussian-noise", "shot-noise", "impulse-noise", "defocus-blur", "motion-blur", "gaussian-blur", "brightness",
    "contrast", "fog", "jpeg", "pixelate",
)  # fmt: skip
"""What `eval robustness` does to images, in the order of its table; see `evaluation.corruptions`."""
SEVERITIES = 5


@dataclass(kw_only=True)
class RobustnessConfig(OneSetConfig):
    corruptions: str | None = option(
        None, help=f"Which, of {', '.join(CORRUPTIONS)}; all if not given.", metavar="A,B,...", suggestions=CORRUPTIONS
    )
    severities: str = option("1,2,3,4,5", help="How strong, of 1 to 5.", metavar="S,S,...")
    l2: float | None = option(
        None,
        help="Penalty on the classifier's weights, as of the linear probe; chosen on a part of the training images if "
        "not given.",
        above=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.severity_numbers()
        for name in self.corruption_names():
            if name not in CORRUPTIONS:
                near = did_you_mean(name, CORRUPTIONS)
                raise UsageError(f"there is no corruption {name!r}{near}; choose of {', '.join(CORRUPTIONS)}")

    def corruption_names(self) -> list[str]:
        """Those that are asked for, in the order of the table."""
        if self.corruptions is None:
            return list(CORRUPTIONS)
        given = {name.strip() for name in self.corruptions.split(",")}
        return [name for name in CORRUPTIONS if name in given] + sorted(given - set(CORRUPTIONS))

    def severity_numbers(self) -> list[int]:
        """Those that are asked for, ascending."""
        return whole_numbers("severities", self.severities, maximum=SEVERITIES)


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
