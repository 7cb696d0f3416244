"""Options of `synthcl compare`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..data.specs import refuse_part
from ..errors import UsageError
from ..options import default_of, flag, option
from ..regimes.table import DRAWN, REGIMES
from .train import TrainingConfig, concerns, meaningless

LABEL_FRACTIONS = [0.01, 0.1, 0.5]
"""Beside 1, the whole. Ours."""
WITH_RUNS = {
    "run",
    "out",
    "data",
    "test_data",
    "equal",
    "label_fraction",
    "primary",
    "transfer",
    "transfer_test_data",
    "data_root",
}
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
        "real,offline,online", help=f"Which to compare, of {', '.join(REGIMES)}.", metavar="A,B,...", group="Comparison"
    )
    primary: str | None = option(
        None,
        help="The one comparison that the trainings are made for, named beforehand, such as online-real: it is judged "
        "by itself, the others with Holm's correction.",
        metavar="A-B",
        may_change=True,
        group="Comparison",
    )
    seeds: int = option(
        3,
        help="Runs of each regime, of --seed and those after it; fewer than 3 give no interval.",
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
        help="Part of each class's labels for the probe, beside all; may be repeated.",
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
    run: list[str] = option(
        [],
        help="Compare runs that exist instead of training any; may be repeated.",
        metavar="DIR",
        may_change=True,
        group="Comparison",
    )
    epochs: int | None = option(None, help="Passes over the real images.", minimum=1, group="Training")
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
        super().__post_init__()
        regimes = self.regime_names()
        primary = self.primary_comparison()
        if primary is not None and not self.run and not set(primary) <= set(regimes):
            raise UsageError(f"--primary {self.primary} is of regimes that are not compared; name both in --regimes")
        if self.transfer_test_data and len(self.transfer_test_data) != len(self.transfer):
            raise UsageError(
                f"--transfer-test-data is given {len(self.transfer_test_data)} times and --transfer "
                f"{len(self.transfer)} times; give one for each"
            )
        if self.run:
            self._check_runs()
        else:
            self._check_plan()

    def regime_names(self) -> list[str]:
        """The regimes to compare, in the order of the table."""
        given = [name.strip() for name in self.regimes.split(",") if name.strip()]
        unknown = [name for name in given if name not in REGIMES]
        if unknown:
            raise UsageError(f"--regimes: there is no regime {unknown[0]!r}; they are {', '.join(REGIMES)}")
        if len(set(given)) < 2:
            raise UsageError(f"--regimes {self.regimes!r} leaves nothing to compare; name two or more")
        return [name for name in REGIMES if name in given]

    def primary_comparison(self) -> tuple[str, str] | None:
        """Regime and baseline of --primary.

        Raises:
            UsageError: it does not name two regimes of which the table compares the first with the second.
        """
        if self.primary is None:
            return None
        regime, _, baseline = self.primary.partition("-")
        if regime not in REGIMES or baseline not in REGIMES[regime].differences:
            choices = ", ".join(f"{name}-{other}" for name, entry in REGIMES.items() for other in entry.differences)
            raise UsageError(f"--primary {self.primary!r} is no comparison that is made; they are {choices}")
        return regime, baseline

    def fractions(self) -> list[float]:
        """The label fractions, the whole among them, ascending."""
        return sorted({*self.label_fraction, 1.0})

    def transfers(self) -> list[tuple[str, str | None]]:
        """Images to transfer to, and those to score on where they are named."""
        scored: Sequence[str | None] = self.transfer_test_data or [None] * len(self.transfer)
        return list(zip(self.transfer, scored, strict=True))

    def _check_runs(self) -> None:
        for f in dataclasses.fields(self):
            if f.name in WITH_RUNS:
                continue
            if getattr(self, f.name) != default_of(f):
                raise UsageError(f"{flag(f.name)} is for trainings; with --run nothing is trained")

    def _check_plan(self) -> None:
        if self.data is None:
            raise UsageError("Missing option '--data': images to train on, or --run DIR to compare runs that exist")
        self.check_length()
        regimes = self.regime_names()
        if "replay" in regimes and "online" not in regimes:
            raise UsageError("--regimes: replay feeds back what online runs draw; name online too")
        for path in self.shards:
            refuse_part("--shards", path)
        if self.shards and "offline" not in regimes:
            raise UsageError("--shards is for the regime offline; name it in --regimes")
        if self.where is not None and not self.shards:
            raise UsageError("--where chooses samples of --shards; give it with a set")
        if self.num_samples is not None and ("offline" not in regimes or self.shards):
            raise UsageError("--num-samples is for the set that offline generates; it needs offline, and no --shards")
        needing = [name for name in regimes if name in DRAWN or (name == "offline" and not self.shards)]
        if needing and self.generator is None:
            raise UsageError(f"{' and '.join(needing)} needs --generator DIR; `synthcl pretrain` makes one")
        if self.generator is not None and not needing:
            raise UsageError(
                f"--generator is for {' and '.join(DRAWN)}, and for offline without --shards; none of them is compared"
            )
        for f in dataclasses.fields(self):
            if getattr(self, f.name) != default_of(f) and not concerns(f, self.concerned()):
                raise UsageError(meaningless(f, regimes))

    def check_given(self, names: Iterable[str]) -> None:
        if self.run:
            if meant_nothing := [name for name in names if name not in WITH_RUNS]:
                raise UsageError(f"{flag(meant_nothing[0])} is for trainings; with --run nothing is trained")
            return
        super().check_given(names)
        for f in dataclasses.fields(self):
            if f.name in names and not concerns(f, self.concerned()):
                raise UsageError(meaningless(f, self.regime_names()))

    def concerned(self) -> list[str]:
        """The regimes whose options mean something; a set generated for offline is drawn as `fresh` draws."""
        regimes = self.regime_names()
        return [*regimes, "fresh"] if "offline" in regimes and not self.shards else regimes
