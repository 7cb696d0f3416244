"""Options of `synthcl compare`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.specs import refuse_part
from ..errors import UsageError
from ..options.config import option
from ..options.types import default_of, flag
from .arms import (
    Arm,
    arm_texts,
    arm_values,
    check_alike,
    check_names,
    find_pair,
    find_reference,
    needs_set,
    parse_arms,
    read_label,
    ready_arm,
)
from .concerns import concerns, meaningless
from .regimes import BASELINE, REGIMES, SYNTHETIC
from .training import TrainingConfig

LABEL_FRACTIONS = [0.01, 0.1, 0.5]
"""Beside 1, the whole. Ours."""
WITH_RUNS = {
    "run", "arm", "reference", "judge", "out", "data", "test_data", "equal", "label_fraction", "primary", "metric",
    "transfer", "transfer_test_data", "robustness", "data_root",
}  # fmt: skip
"""The options that make sense with --run, where nothing is trained."""


@dataclass(kw_only=True)
class CompareConfig(TrainingConfig):
    # What a training must be given, a comparison may find out: with --run, or by the length.
    data: str | None = option(  # type: ignore[assignment]
        None,
        help="Images with labels for the probes (as for train); with --run the runs' own.",
        metavar="SPEC",
        group="Images",
    )
    out: str = option(
        help="Folder of the comparison: runs, results and report.html.", metavar="DIR", may_change=True, group="Records"
    )
    test_data: str | None = option(
        None,
        help="Images to score on; the test or validation split of --data if not given.",
        metavar="SPEC",
        group="Evaluation",
    )
    generator: str | None = option(
        None,
        help="The pretrained generator that offline and fresh draw from and online starts from.",
        metavar="DIR",
        group="Source of synthetic images",
    )
    regimes: str = option(
        "real,offline,online",
        help=f"Which to compare, of {', '.join(REGIMES)}; real-equal-views is real images in as many views a step as "
        "the regimes with synthetic ones have.",
        metavar="A,B,...",
        group="Comparison",
    )
    arm: list[str] = option(
        [],
        help="Compare an arm too: a name, then a regime and options of train that it has to itself, such as "
        "'online-nohard: --online --no-hard'; may be repeated. It gets what --equal gives it, whatever its images and "
        "batch size; --epochs of its own are of its own images and batch size. In a YAML file: arm: {online-nohard: "
        "{regime: online, hard: false}}.",
        metavar="'NAME: OPTIONS'",
        may_change=True,
        group="Comparison",
    )
    reference: str = option(
        BASELINE,
        help="The arm that each other one is judged against; the first one, where real is not compared.",
        metavar="ARM",
        may_change=True,
        group="Comparison",
    )
    judge: list[str] = option(
        [],
        help="A difference to judge, such as online-fresh; may be repeated. Of each arm from --reference, and those "
        "that have a meaning of their own, if not given. Holm's correction is for as many as are judged.",
        metavar="A-B",
        may_change=True,
        group="Comparison",
    )
    primary: str | None = option(
        None,
        help="The one comparison that the trainings are made for, named beforehand, such as online-real: it is judged "
        "by itself, the others with Holm's correction.",
        metavar="A-B",
        may_change=True,
        group="Comparison",
    )
    metric: str = option(
        "linear",
        help="What decides, named beforehand: top-1 accuracy of the linear probe with all labels, or of nearest "
        "neighbours. Both are shown.",
        choices=("linear", "knn"),
        may_change=True,
        group="Comparison",
    )
    seeds: int = option(
        3,
        help="Runs of each arm, of --seed and those after it; fewer than 3 give no interval.",
        minimum=1,
        may_change=True,
        group="Comparison",
    )
    equal: str = option(
        "steps",
        help="What all regimes get the same of: optimizer steps, seconds of training, or images through the learner. "
        "--steps or --epochs is then what real images alone would get.",
        choices=("steps", "seconds", "images"),
        group="Comparison",
    )
    shards: list[str] = option(
        [],
        help="A shard set for offline, instead of generating one; may be repeated.",
        metavar="DIR",
        group="Source of synthetic images",
    )
    where: str | None = option(
        None,
        help="Take only samples of --shards that meet an SQL condition on their columns.",
        metavar="EXPR",
        group="Source of synthetic images",
    )
    num_samples: int | None = option(
        None,
        help="Latents in the set generated for offline; as many as a training draws, up to 50,000, if not given.",
        minimum=1,
        group="Comparison",
    )
    label_fraction: list[float] = option(
        LABEL_FRACTIONS,
        help="Part of each class's labels for the probe, beside all, in place of the default ones; may be repeated.",
        above=0,
        maximum=1,
        may_change=True,
        group="Evaluation",
    )
    transfer: list[str] = option(
        [],
        help="Other images to probe the encoders on; may be repeated.",
        metavar="SPEC",
        may_change=True,
        group="Evaluation",
    )
    transfer_test_data: list[str] = option(
        [],
        help="Images to score them on, one for each --transfer; their test splits if not given.",
        metavar="SPEC",
        may_change=True,
        group="Evaluation",
    )
    robustness: bool = option(
        False,
        help="Score the probe on corrupted test images too, as `eval robustness` does, which encodes them 55 times.",
        may_change=True,
        group="Evaluation",
    )
    run: list[str] = option(
        [],
        help="Compare runs that exist instead of training any, or, beside --steps or --epochs, with those trained "
        "here; may be repeated. A label makes a run one of an arm of that name.",
        metavar="[LABEL=]DIR",
        may_change=True,
        group="Comparison",
    )
    epochs: int | None = option(
        None, help="Passes over the real images; give this or --steps.", minimum=1, group="Training"
    )
    steps: int | None = option(
        None, help="Optimizer steps, instead of --epochs.", minimum=1, instead_of="epochs", group="Training"
    )
    sample_every: int | None = option(  # type: ignore[assignment]
        None,
        help="Steps between pictures of online pairs; a quarter of the training if not given.",
        minimum=1,
        may_change=True,
        group="Records",
    )

    def __post_init__(self) -> None:
        self.arm = arm_texts(self.arm)
        super().__post_init__()
        declared = parse_arms(self.arm)
        self.arm = [arm.text for arm in declared]
        if self.transfer_test_data and len(self.transfer_test_data) != len(self.transfer):
            raise UsageError(
                f"--transfer-test-data is given {len(self.transfer_test_data)} times and --transfer "
                f"{len(self.transfer)} times; give one for each"
            )
        if self.trains:
            self._check_plan()
        else:
            self._check_runs(declared)

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"arm": {arm.name: arm.to_dict() for arm in parse_arms(self.arm)} or []}

    @property
    def trains(self) -> bool:
        """Whether arms are trained: not where runs that exist are all that is given."""
        return not self.run or self.steps is not None or self.epochs is not None

    def arms(self) -> list[Arm]:
        """The arms to train, in the order of the table of regimes, then as they are given.

        Raises:
            UsageError: there is no such regime or arm, or there are less than two.
        """
        given = list(dict.fromkeys(name.strip() for name in self.regimes.split(",") if name.strip()))
        equal = f"{BASELINE}-equal-views"
        if self.local_views and equal in given:
            raise UsageError(
                f"--regimes {equal} counts whole views alone and cannot be given with --local-views; name a number, "
                f"such as {BASELINE}-4-views"
            )
        per_latent = self._images_of_all_arms(given) if equal in given else 1
        ready = [ready_arm(name, self.synthetic_ratio, self.views_per_image, per_latent) for name in given]
        ready.sort(key=lambda arm: (list(REGIMES).index(arm.regime), not arm.plain))
        arms = [*ready, *parse_arms(self.arm)]
        check_names(arms, bool(self.run))
        return arms

    def declared(self) -> dict[str, Arm]:
        """By name, what runs that exist may be of: the arms to train, or those that --arm says of labels."""
        return {arm.name: arm for arm in (self.arms() if self.trains else parse_arms(self.arm))}

    def images_per_latent(self, regime: str) -> int:
        """Images of a latent in the arms of a regime with samples, those of --shards aside, which have their own."""
        entry = REGIMES[regime]
        if entry.learns or entry.source == "recording":
            return 2 if self.pairs else 1
        return self.group_size

    def _images_of_all_arms(self, given: Sequence[str]) -> int:
        """Images of a latent in the regimes that are named. A set of --shards counts as pairs until it is opened.

        Raises:
            UsageError: they have different ones, so that no number of views is that of all.
        """
        with_samples = [name for name in given if name in SYNTHETIC]
        drawn = [name for name in with_samples if not (self.shards and REGIMES[name].source == "set")]
        own = {name: self.images_per_latent(name) for name in drawn}
        check_alike(own, self.synthetic_ratio, self.views_per_image)
        return next(iter(own.values()), 2 if self.pairs else 1)

    def pairs_judged(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """The differences that --judge names, each arm and the one that is taken off; [] without it.

        Args:
            names: of the arms.

        Raises:
            UsageError: it does not name two of them.
        """
        return [find_pair("--judge", text, names, self.reference_of(names)) for text in self.judge]

    def primary_comparison(self, names: Sequence[str]) -> tuple[str, str] | None:
        """The two arms of --primary.

        Args:
            names: of the arms.

        Raises:
            UsageError: it does not name two of them.
        """
        if self.primary is None:
            return None
        return find_pair("--primary", self.primary, names, self.reference_of(names))

    def reference_of(self, names: Sequence[str]) -> str:
        """The arm, of these, that the others are judged against; see `find_reference`."""
        return find_reference(self.reference, names)

    def fractions(self) -> list[float]:
        """The label fractions, the whole among them, ascending."""
        return sorted({*self.label_fraction, 1.0})

    def transfers(self) -> list[tuple[str, str | None]]:
        """Images to transfer to, and those to score on where they are named."""
        scored: Sequence[str | None] = self.transfer_test_data or [None] * len(self.transfer)
        return list(zip(self.transfer, scored, strict=True))

    def _check_runs(self, declared: Sequence[Arm]) -> None:
        for f in dataclasses.fields(self):
            if f.name not in WITH_RUNS and getattr(self, f.name) != default_of(f):
                raise UsageError(
                    f"{flag(f.name)} is for trainings; with --run nothing is trained, unless --steps or --epochs is "
                    "given too"
                )
        labels = {read_label(text)[0] for text in self.run}
        for arm in declared:
            if arm.name not in labels:
                raise UsageError(f"--arm {arm.name} is trained nowhere; name its runs, --run {arm.name}=DIR")

    def _check_plan(self) -> None:
        if self.data is None:
            raise UsageError("Missing option '--data': images to train on, or --run DIR to compare runs that exist")
        self.check_length()
        arms = self.arms()
        names = [arm.name for arm in arms] + [label for text in self.run if (label := read_label(text)[0])]
        self.reference_of(names)
        for path in self.shards:
            refuse_part("--shards", path)
        self._check_sources(arms)
        for f in dataclasses.fields(self):
            if getattr(self, f.name) != default_of(f) and not concerns(f, self.concerned()):
                raise UsageError(meaningless(f, getattr(self, f.name), [arm.regime for arm in arms]))
        for arm in arms:
            arm_values(self.shared(), arm, self.placeholders(arm))
        if not self.run:  # else runs without a label may be meant
            self.primary_comparison(names)
            self.pairs_judged(names)

    def _check_sources(self, arms: Sequence[Arm]) -> None:
        """Raises UsageError for arms without what their samples come from, and for what no arm's come from."""
        entries = {arm.name: REGIMES[arm.regime] for arm in arms}
        learning = [arm.name for arm in arms if entries[arm.name].learns]
        for arm in arms:
            selector = str(entries[arm.name].selected_by)
            if entries[arm.name].source == "recording" and selector not in arm.options and not learning:
                raise UsageError(f"--regimes: {arm.name} feeds back what online runs draw; name online too")
        shared_set = [arm for arm in arms if needs_set(arm)]
        if self.shards and not shared_set:
            raise UsageError("--shards is for the regime offline; name it in --regimes")
        if self.where is not None and not self.shards:
            raise UsageError("--where chooses samples of --shards; give it with a set")
        if self.num_samples is not None and (self.shards or not shared_set):
            raise UsageError("--num-samples is for the set that offline generates; it needs offline, and no --shards")
        drawing = [
            arm.name for arm in arms if entries[arm.name].source == "generator" and "generator" not in arm.options
        ]
        needing = [arm.name for arm in arms if arm.name in drawing or (arm in shared_set and not self.shards)]
        if needing and self.generator is None:
            need = "needs" if len(needing) == 1 else "need"
            raise UsageError(f"{' and '.join(needing)} {need} --generator DIR; `synthcl pretrain` makes one")
        if self.generator is not None and not needing:
            users = " and ".join(entry.name for entry in REGIMES.values() if entry.source == "generator")
            raise UsageError(f"--generator is for {users}, and for offline without --shards; none of them is compared")

    def check_given(self, names: Iterable[str]) -> None:
        if not self.trains:
            if meant_nothing := [name for name in names if name not in WITH_RUNS]:
                raise UsageError(f"{flag(meant_nothing[0])} is for trainings; with --run nothing is trained")
            return
        super().check_given(names)
        for f in dataclasses.fields(self):
            if f.name in names and not concerns(f, self.concerned()):
                raise UsageError(meaningless(f, getattr(self, f.name), [arm.regime for arm in self.arms()]))

    def concerned(self) -> list[str]:
        """The regimes whose options mean something; a set generated for offline is drawn as `fresh` draws."""
        if not self.trains:
            return list(REGIMES)
        arms = self.arms()
        regimes = list(dict.fromkeys(arm.regime for arm in arms))
        return [*regimes, "fresh"] if not self.shards and any(needs_set(arm) for arm in arms) else regimes

    def shared(self) -> dict[str, Any]:
        """What all trainings have the same, by name."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(TrainingConfig)}
        return {name: value for name, value in values.items() if value is not None}

    def placeholders(self, arm: Arm) -> dict[str, Any]:
        """What a training of an arm is given of the comparison, as far as it is known before there is a plan."""
        entry = REGIMES[arm.regime]
        given: dict[str, Any] = {"out": self.out, "seed": self.seed}
        if entry.source == "generator":
            given |= {str(entry.selected_by): True, "generator": self.generator}
        elif entry.source == "set":
            given |= {str(entry.selected_by): self.shards or [self.out], "where": self.where}
        elif entry.source == "recording":
            given |= {str(entry.selected_by): self.out}
        elif entry.selected_by is not None:  # a source that nothing else is known of: a flag turns it on
            given |= {entry.selected_by: True}
        return given
