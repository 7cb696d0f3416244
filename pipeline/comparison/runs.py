"""Finished runs of `synthcl train`, as a comparison reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..configs.arms import Arm, label_arm, read_label, typed
from ..configs.compare import CompareConfig
from ..configs.regimes import REGIMES
from ..configs.train import TrainConfig
from ..errors import DataError, UsageError
from ..runs.folder import RunFolder, as_said_now, read_config, read_record
from .plan import LENGTH


@dataclass(frozen=True)
class ComparedRun:
    """A run with what it was asked and what came of it.

    Attributes:
        path: its folder.
        config: its options.
        result: its result.json.
        record: its run.json: versions and hardware.
        arm: which arm it is a run of.
    """

    path: Path
    config: TrainConfig
    result: dict[str, Any]
    record: dict[str, Any]
    arm: Arm

    @property
    def regime(self) -> str:
        return self.config.regime

    @property
    def name(self) -> str:
        """Its arm's."""
        return self.arm.name

    @property
    def seed(self) -> int:
        return self.config.seed

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of its metrics.jsonl."""
        return RunFolder(self.path).metrics.read()


def read_run(path: str | Path) -> ComparedRun:
    """Read a finished run, as one of its regime.

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
        config = TrainConfig.of_run(as_said_now(values, record))
    except UsageError as error:
        raise DataError(f"{path / 'config.yaml'} is damaged, or of another version of synthcl: {error}") from None
    return ComparedRun(path, config, result, record, Arm(config.regime, config.regime))


def read_labelled(texts: Sequence[str], declared: Mapping[str, Arm]) -> list[ComparedRun]:
    """Read finished runs, each `DIR` or `LABEL=DIR`.

    Args:
        texts: as `--run` takes them.
        declared: what `--arm` says of labels, and the arms that are trained, by name.

    Raises:
        DataError: see `read_run`.
        UsageError: see `label_arm`, or a run that is not what its arm declares.
    """
    found = []
    for text in texts:
        label, folder = read_label(text)
        run = read_run(folder)
        run = replace(run, arm=label_arm(label or run.regime, run.config, declared))
        _check_declared(run)
        found.append(run)
    return found


def _check_declared(run: ComparedRun) -> None:
    """Raises UsageError unless a run has the options that its arm declares, as far as they make it what it is."""
    entry = REGIMES[run.regime]
    its_own = {*entry.of_a_seed, *([entry.selected_by] if entry.source != "set" else [])}
    for f in fields(TrainConfig):
        if f.name not in run.arm.options or f.name in its_own:
            continue
        if f.name not in LENGTH and f.metadata["option"].may_change:
            continue
        # A run that was given steps has epochs too.
        held = run.result[f.name] if f.name in LENGTH else getattr(run.config, f.name)
        if held != _as_kept(run.config, f.name, run.arm.options[f.name]):
            raise UsageError(
                f"--run {run.name}={run.path} has {typed(f.name, held)}, and the arm is {run.arm.text!r}; give the "
                "run another label, or declare what it has with --arm"
            )


def _as_kept(config: TrainConfig, name: str, value: Any) -> Any:
    """An option's value as a training with these other options keeps it."""
    if name in LENGTH:
        return value
    try:
        return getattr(replace(config, **{name: value}), name)
    except UsageError:  # it cannot be had beside the others
        return value


class Placed(Protocol):
    """A run that is there, or one that is planned: of which arm and seed, and where."""

    @property
    def arm(self) -> Arm: ...
    @property
    def seed(self) -> int: ...
    @property
    def config(self) -> TrainConfig: ...
    @property
    def path(self) -> Path: ...


AnyRun = TypeVar("AnyRun", bound=Placed)


def in_order(runs: Sequence[AnyRun]) -> list[AnyRun]:
    """Runs by arm and seed: the regimes in their order, then the other arms as they come.

    Raises:
        UsageError: less than two arms, one of two regimes, or two runs of the same arm and seed, of which only one can
            be counted.
    """
    names = list(dict.fromkeys(run.arm.name for run in runs))
    ordered = sorted(runs, key=lambda run: (*_place(run.arm), names.index(run.arm.name), run.seed))
    for one, other in pairwise(ordered):
        name, regimes = one.arm.name, (one.config.regime, other.config.regime)
        if name == other.arm.name and regimes[0] != regimes[1]:
            raise UsageError(
                f"{one.path} and {other.path} are both called {name}, and are of the regimes {regimes[0]} and "
                f"{regimes[1]}; give each regime a label of its own"
            )
        if (name, one.seed) == (other.arm.name, other.seed):
            raise UsageError(
                f"--run: {one.path} and {other.path} are both {name} with seed {one.seed}; give one of them, or give "
                "them different labels: --run LABEL=DIR"
            )
    if len(names) < 2:
        raise UsageError(
            f"--run: all runs are of the arm {names[0]}; give runs of two regimes or more, or labels: --run LABEL=DIR"
        )
    return ordered


def check_named(config: CompareConfig, runs: Sequence[Placed]) -> None:
    """Raises UsageError for runs that cannot be told apart, and for options that name arms which there are not."""
    names = list(dict.fromkeys(run.arm.name for run in in_order(runs)))
    config.reference_of(names)
    config.primary_comparison(names)
    config.pairs_judged(names)


def _place(arm: Arm) -> tuple[int, bool]:
    """Regimes in their order, real images in other views beside real ones, then the others."""
    known = arm.plain or arm.other_views
    return list(REGIMES).index(arm.regime) if known else len(REGIMES), not arm.plain


def by_arm(runs: Sequence[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """Runs by the name of their arm, in the order in which they are given."""
    return {name: [run for run in runs if run.name == name] for name in dict.fromkeys(run.name for run in runs)}
