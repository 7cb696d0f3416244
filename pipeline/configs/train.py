"""Options of `synthcl train`: those of any training, and where the synthetic samples come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..data.specs import refuse_part
from ..errors import UsageError
from ..options.config import option
from ..options.types import default_of, flag
from .concerns import concerns, meaningless
from .regimes import BASELINE, DRAWN, REGIMES, SYNTHETIC
from .sampling import try_class
from .training import TrainingConfig

SHARDS_PER_WINDOW = 8
"""How many shards are mixed where sets lie at URLs and no number is given. Ours."""


@dataclass(kw_only=True)
class TrainConfig(TrainingConfig):
    """What `synthcl train` takes: the options of a training, and those that say where synthetic samples come from.

    The latter choose the regime.
    """

    shards: list[str] = option(
        [],
        help="A shard set of synthetic samples to stream (offline): a folder, or a URL such as s3://BUCKET/SET. "
        "May be repeated.",
        metavar="DIR",
        concerns=("offline",),
        group="Source of synthetic images",
    )
    shards_per_window: int | None = option(
        None,
        help="Read --shards in windows: this many shards are mixed with each other, then the next. More mix better, "
        "and need more of the cache or of the free memory. At URLs it is 8 if not given (ours). The samples of folders "
        "are mixed as one if it is not given; give it where reads in any order are slow (spinning disks, network file "
        "systems).",
        minimum=1,
        concerns=("offline",),
        group="Source of synthetic images",
    )
    online: bool = option(
        False,
        help="Train the generator jointly and draw samples from it at each step.",
        group="Source of synthetic images",
    )
    fresh: bool = option(
        False,
        help="Draw new samples at each step from a generator that stays as it is.",
        group="Source of synthetic images",
    )
    generator: str | None = option(
        None,
        help="The generator of --online and --fresh: a run of `pretrain` or of `train --online`, or one pushed to the "
        "hub (hf://USER/NAME). --online also takes a local folder of a diffusers pipeline that can learn, --fresh any "
        "pipeline, a hub id and package.module:Class.",
        metavar="DIR|HUB_ID",
        concerns=DRAWN,
        group="Source of synthetic images",
    )
    replay: str | None = option(
        None,
        help="A recording of an --online or --fresh run (--record), fed back in its order.",
        metavar="DIR",
        group="Source of synthetic images",
    )
    record: str | None = option(
        None,
        help="Write every synthetic sample that the learner sees in an --online or --fresh run to a shard set.",
        metavar="DIR",
        group="Source of synthetic images",
    )
    anchored: bool = option(
        True,
        help="Take samples that are variations of real images (`generate --anchors`) for positives of those, and not "
        "for images of their own.",
        concerns=("offline",),
        group="Synthetic images in the loss",
    )
    synthetic_classes: bool = option(
        False,
        help="Take the classes that samples were drawn for as labels, the same numbers as those of the real images "
        "(supcon): of sets and recordings the column class, of a generator its --classes.",
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )
    where: str | None = option(
        None,
        help="Take only samples of --shards that meet an SQL condition on their columns.",
        metavar="EXPR",
        concerns=("offline",),
        group="Source of synthetic images",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_length()
        selectors = [entry.selected_by for entry in REGIMES.values() if entry.selected_by]
        chosen = [flag(name) for name in selectors if getattr(self, name)]
        if len(chosen) > 1:
            first, second = chosen[:2]
            raise UsageError(
                f"{second} cannot be given with {first}: each says where synthetic samples come from; give one of them"
            )
        if self.regime in DRAWN and self.generator is None:
            raise UsageError(
                f"--{self.regime} needs --generator DIR, a generator to draw from; `synthcl pretrain` makes one"
            )
        for path in self.shards:
            refuse_part("--shards", path)
        if self.generator is not None and self.regime not in DRAWN:
            raise UsageError("--generator is for --online and --fresh; to use ready samples give --shards DIR")
        if self.record is not None and self.regime not in DRAWN:
            raise UsageError("--record writes what a run draws at each step; give it with --online or --fresh")
        if self.where is not None and not self.shards:
            raise UsageError("--where chooses samples of --shards; give it with a set")
        self._settle_windows()
        for f in dataclasses.fields(self):
            if getattr(self, f.name) != default_of(f) and not concerns(f, [self.regime]):
                raise UsageError(meaningless(f, getattr(self, f.name), [self.regime]))

    def try_out(self) -> None:
        try_class(self.generator, self, learns=REGIMES[self.regime].learns)

    def _settle_windows(self) -> None:
        if any("://" in path for path in self.shards):
            self.shards_per_window = self.shards_per_window or SHARDS_PER_WINDOW
        elif not self.shards and self.shards_per_window == SHARDS_PER_WINDOW:
            self.shards_per_window = None  # a file of an earlier version, where this was the default

    @classmethod
    def of_run(cls, values: dict[str, Any]) -> TrainConfig:
        """The options of a run that exists; those that mean nothing in it are taken for their defaults.

        What was checked when the run began is not checked again: a class of the user's may not be at hand now, and a
        run of before a check was stays what it is.
        """
        unchecked = {name: values[name] for name in UNCHECKED if values.get(name) is not None}
        values = {name: value for name, value in values.items() if name not in unchecked}
        names = {f.name: f for f in dataclasses.fields(cls)}
        sources = {n: v for n, v in values.items() if n in names and not names[n].metadata["option"].concerns}
        regimes = [cls.from_values(sources | {n: values.get(n) for n in SOURCE_OPTIONS if values.get(n)}).regime]

        known = {name: default_of(f) for name, f in names.items()} | values | unchecked

        def means_something(name: str) -> bool:
            if name not in names:
                return True
            return concerns(names[name], regimes) and names[name].metadata["option"].unmet_need(known) is None

        config = cls.from_values({name: value for name, value in values.items() if means_something(name)})
        for name, value in unchecked.items():
            if means_something(name):
                setattr(config, name, value)
        return config

    @property
    def source(self) -> str:
        """What the regime's synthetic samples come from: a generator, or a recording.

        Raises:
            UsageError: neither is given.
        """
        source = self.generator or self.replay
        if source is None:
            raise UsageError(f"the regime {self.regime} has no single source of synthetic samples")
        return source

    @property
    def regime(self) -> str:
        """The name of the regime in the table: where a batch's synthetic samples come from."""
        for entry in REGIMES.values():
            if entry.selected_by and getattr(self, entry.selected_by):
                return entry.name
        return BASELINE

    def concerned(self) -> list[str]:
        return [self.regime]

    def check_given(self, names: Iterable[str]) -> None:
        super().check_given(names)
        for f in dataclasses.fields(self):
            if f.name in names and not concerns(f, [self.regime]):
                raise UsageError(meaningless(f, getattr(self, f.name), [self.regime]))


UNCHECKED = ("learner", "learner_option", "local_views", "local_size", "hard_gate")
"""The options of a run that exists that are not checked again: their checks look at the learner's class."""
SOURCE_OPTIONS = ("shards", "generator", *(e.selected_by for e in REGIMES.values() if e.selected_by))
"""The options that say where synthetic samples come from."""
