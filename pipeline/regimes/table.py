"""The regimes, each in one entry: every other place asks this table. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RegimeEntry:
    """What the rest of the package knows of a regime.

    Attributes:
        name: as users type it and runs record it.
        summary: where its synthetic samples come from, in a few words.
        builder: "module:function" in this package that makes the regime from a `RegimeSetup`.
        selected_by: the option of `train` that chooses it; None for the regime that is left when none does.
        learns: whether its generator is trained along.
        source: what its samples come from: `generator`, `set` (a shard set made ahead), `recording` (of another run);
            None for a regime without samples.
        of_a_seed: the options whose values are each seed's own, and so differ between the runs of one comparison.
        color, dark_color: in reports, on light and on dark ground.
        marker, dash: of matplotlib, so that plots read without colours.
        differences: what its difference from another regime measures, by that regime's name.
    """

    name: str
    summary: str
    builder: str
    selected_by: str | None
    learns: bool = False
    source: str | None = None
    of_a_seed: tuple[str, ...] = ()
    color: str
    dark_color: str
    marker: str
    dash: Any = "-"
    differences: Mapping[str, str] = field(default_factory=dict)


_ENTRIES = (
    RegimeEntry(
        name="real",
        summary="no synthetic samples",
        builder=".real:build",
        selected_by=None,
        color="#4b5563",
        dark_color="#b6bec9",
        marker="s",
    ),
    RegimeEntry(
        name="offline",
        summary="a shard set, made ahead and reused",
        builder=".offline:build",
        selected_by="shards",
        source="set",
        color="#c2570c",
        dark_color="#f5973f",
        marker="D",
        dash=(0, (5, 2)),
        differences={"real": "what samples made ahead add to real images"},
    ),
    RegimeEntry(
        name="fresh",
        summary="new samples at each step from a generator that stays as it is",
        builder=".fresh:build",
        selected_by="fresh",
        source="generator",
        of_a_seed=("record",),
        color="#0f766e",
        dark_color="#4fd1c5",
        marker="v",
        dash=(0, (3, 1, 1, 1)),
        differences={
            "real": "what samples of the generator as it is add to real images",
            "offline": "freshness: new samples at each step in place of a finite set",
        },
    ),
    RegimeEntry(
        name="online",
        summary="new samples at each step from a generator that is trained jointly",
        builder=".online:build",
        selected_by="online",
        learns=True,
        source="generator",
        of_a_seed=("record",),
        color="#0060b0",
        dark_color="#62b1ff",
        marker="o",
        differences={
            "real": "what joint generation adds to real images",
            "offline": "freshness and jointness together",
            "fresh": "jointness: the generator learns along with the encoder",
            "replay": "the timing: the same samples, but answered to the encoder that sees them",
        },
    ),
    RegimeEntry(
        name="replay",
        summary="what an online or fresh run drew, in its order",
        builder=".replay:build",
        selected_by="replay",
        source="recording",
        of_a_seed=("replay",),
        color="#8b3a8f",
        dark_color="#da92dd",
        marker="^",
        dash=(0, (2, 1.5)),
        differences={
            "real": "what the recorded samples add, without a generator in the training",
        },
    ),
)

REGIMES: dict[str, RegimeEntry] = {entry.name: entry for entry in _ENTRIES}
"""By name, in the order in which tables, plots and runs have them."""

BASELINE = "real"
"""What every regime is compared with."""

SYNTHETIC = tuple(name for name in REGIMES if name != BASELINE)
"""The regimes that have synthetic samples."""

DRAWN = tuple(name for name, entry in REGIMES.items() if entry.source == "generator")
"""The regimes that draw from a generator at each step."""

JOINT = tuple(name for name, entry in REGIMES.items() if entry.learns)
"""The regimes that train the generator along."""


def regime_order(name: str) -> int:
    """The place of a regime in tables, plots and runs."""
    return list(REGIMES).index(name)


def meaning(regime: str, baseline: str) -> str | None:
    """What the difference of two regimes measures, in words; None where the table has nothing to say."""
    return REGIMES[regime].differences.get(baseline) if regime in REGIMES else None
