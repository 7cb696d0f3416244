"""Finished runs of `synthcl train`, as a comparison reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..configs.train import TrainConfig
from ..errors import DataError, UsageError
from ..regimes.table import REGIMES, regime_order
from ..run import RunFolder, read_config, read_record


@dataclass(frozen=True)
class ComparedRun:
    """A run with what it was asked and what came of it.

    Attributes:
        path: its folder.
        config: its options.
        result: its result.json.
        record: its run.json: versions and hardware.
    """

    path: Path
    config: TrainConfig
    result: dict[str, Any]
    record: dict[str, Any]

    @property
    def regime(self) -> str:
        return self.config.regime

    @property
    def seed(self) -> int:
        return self.config.seed

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of its metrics.jsonl."""
        return RunFolder(self.path).metrics.read()


def read_run(path: str | Path) -> ComparedRun:
    """Read a finished run.

    Raises:
        DataError: it is none of `train`, not finished, or a file of it is damaged.
    """
    path = Path(path)
    values = read_config(path)
    record = read_record(path)
    if record["command"] != "train":
        raise DataError(f"--run {path} is a run of `synthcl {record['command']}`; give runs of `synthcl train`")
    result = RunFolder(path).result
    if result is None:
        raise DataError(f"--run {path} is not finished; run its command again first")
    try:
        config = TrainConfig.of_run(values)
    except UsageError as error:
        raise DataError(f"{path / 'config.yaml'} is damaged, or of another version of synthcl: {error}") from None
    return ComparedRun(path, config, result, record)


def read_runs(paths: Sequence[str | Path]) -> list[ComparedRun]:
    """Read finished runs, in the order of regimes and seeds.

    Raises:
        DataError: see `read_run`.
        UsageError: less than two regimes, or two runs of the same regime and seed, of which only one can be counted.
    """
    runs = sorted((read_run(path) for path in paths), key=lambda run: (regime_order(run.regime), run.seed))
    for one, other in pairwise(runs):
        if (one.regime, one.seed) == (other.regime, other.seed):
            raise UsageError(
                f"--run {one.path} and --run {other.path} are both {one.regime} with seed {one.seed}; give one of them"
            )
    if len({run.regime for run in runs}) < 2:
        raise UsageError(f"--run: all runs are of the regime {runs[0].regime}; give runs of two regimes or more")
    return runs


def by_regime(runs: Sequence[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """Runs by regime, in the order of `REGIMES`."""
    present = {run.regime for run in runs}
    return {regime: [run for run in runs if run.regime == regime] for regime in REGIMES if regime in present}
