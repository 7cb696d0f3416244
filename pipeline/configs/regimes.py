"""The regimes, each in one entry: every other place asks this table.

`build` in the module of its name in `pipeline/regimes/` makes a regime; `comparison.looks` says how it looks in plots.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RegimeEntry:
    """What the rest of the package knows of a regime.

    Attributes:
        name: as users type it and runs record it.
        summary: where its synthetic samples come from, in a few words.
        selected_by: the option of `train` that chooses it; None for the regime that is left when none does.
        learns: whether its generator is trained along.
        source: what its samples come from: `generator`, `set` (a shard set made ahead), `recording` (of another run);
            None for a regime without samples.
        of_a_seed: the options whose values are each seed's own, and so differ between the runs of one comparison.
        differences: what its difference from another regime measures, by that regime's name.
    """

    name: str
    summary: str
    selected_by: str | None
    learns: bool = False
    source: str | None = None
    of_a_seed: tuple[str, ...] = ()
    differences: Mapping[str, str] = field(default_factory=dict)


_ENTRIES = (
    RegimeEntry(
        name="real",
        summary="no synthetic samples",
        selected_by=None,
    ),
    RegimeEntry(
        name="offline",
        summary="a shard set, made ahead and reused",
        selected_by="shards",
        source="set",
        differences={"real": "what samples made ahead add to real images"},
    ),
    RegimeEntry(
        name="fresh",
        summary="new samples at each step from a generator that stays as it is",
        selected_by="fresh",
        source="generator",
        of_a_seed=("record",),
        differences={
            "real": "what samples of the generator as it is add to real images",
            "offline": "freshness: new samples at each step in place of a finite set",
        },
    ),
    RegimeEntry(
        name="online",
        summary="new samples at each step from a generator that is trained jointly",
        selected_by="online",
        learns=True,
        source="generator",
        of_a_seed=("record",),
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
        selected_by="replay",
        source="recording",
        of_a_seed=("replay",),
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

RESIZABLE = tuple(name for name, entry in REGIMES.items() if entry.source in ("set", "generator"))
"""The regimes whose samples may be of another size than the real images. What was recorded is of theirs."""
