"""The one loop: what `train` and `pretrain` share around a step.

It resumes, logs, watches for NaN, saves, and stops between steps when asked to. What a step does is the caller's.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import DataError, RunStopped
from ..progress.line import Progress
from ..runtime.distributed import average, is_distributed, loss_of_a_process, wait_for_all
from ..runtime.readback import Readback
from .agreement import check_agreement
from .checkpoint import Checkpoint, Stateful, load_newest, save_checkpoint
from .checkpoint_files import list_checkpoints
from .folder import RunFolder
from .saving import writing_to

ECHO_SECONDS = 3.0
"""Under a launcher, how long a second signal still counts as the first one passed on. Ours."""


class Journal(Protocol):
    """Something that grows with the steps, beside the checkpoints: metrics, a recording."""

    def rewind(self, steps: int) -> None:
        """Drop what came after the first `steps` steps; called once, before the first step of this process."""

    def commit(self, steps: int) -> None:
        """Have all of the first `steps` steps on disk; called before the checkpoint that counts on it."""


class RowLog(Journal, Protocol):
    """A journal of logged steps: `metrics.jsonl`, a tracker."""

    def append(self, row: dict[str, float]) -> None:
        """Add the numbers of a step, its `step` among them."""


@dataclass(frozen=True)
class Measurement:
    """What is measured now and then of a run as it stands, beside the metrics that each step gives.

    Attributes:
        period: steps between two measurements; there is one at the end in any case.
        take: gives the numbers. Called in every process, and gives the same in each; it must leave random numbers as
            they are. What it changes of the run's parts (a guard, or the weights of a generator that it brings back) is
            saved with them, and must follow from the step alone.
        begin: is called before the first step of a run that starts from nothing; nothing is logged of it.
    """

    period: int
    take: Callable[[], dict[str, float]]
    begin: Callable[[], None] = lambda: None


class Interrupted(RunStopped):
    """The run was asked to stop; it has saved, and the same command continues it.

    Attributes:
        exit_code: of the command: 75, "try again later" in sysexits.h, for a scheduler's signals; 1 for Ctrl-C.
    """

    def __init__(self, message: str, signal_name: str | None = None) -> None:
        super().__init__(message)
        self.exit_code = 1 if signal_name == "SIGINT" else os.EX_TEMPFAIL


class Diverged(RunStopped):
    """A loss is no longer a number."""


@dataclass(kw_only=True)
class LoopOptions:
    """How a loop is run.

    Attributes:
        label: of the progress line.
        total_steps: how many steps in all, those of earlier runs included.
        images_per_step: real images over all processes, for the rate.
        log_every, checkpoint_every, keep: as the options of that name.
        device: where processes agree on when to stop.
        watch: metrics to show in the progress line.
        main_process: whether this process writes.
    """

    label: str
    total_steps: int
    images_per_step: int
    log_every: int
    checkpoint_every: int
    keep: int
    device: torch.device
    watch: tuple[str, ...] = ("loss",)
    main_process: bool = True


def run_loop(
    run: RunFolder,
    parts: Mapping[str, Stateful],
    step: Callable[[int], Mapping[str, Tensor | float]],
    options: LoopOptions,
    *,
    every: Mapping[int, Callable[[int], None]] | None = None,
    journals: Sequence[Journal] = (),
    row_logs: Sequence[RowLog] = (),
    measurements: Sequence[Measurement] = (),
) -> float:
    """Do the steps that are left, from the newest checkpoint on.

    Args:
        run: where checkpoints and metrics go; held (`opening.hold_run`), so that no other training is in it.
        parts: everything a step depends on, by name; restored first.
        step: does step i, counted from 0, and returns scalars to log, the same names in every process: tensors, which
            are averaged over processes, and numbers that are the same in each.
        options: see `LoopOptions`.
        journals: what else grows with the steps in this process, to be cut and made durable with the checkpoints.
        every: what else to do after each so many steps (main process only), with the number of steps done.
        row_logs: where logged rows go besides `metrics.jsonl` (main process only).
        measurements: what to measure every so often; their numbers join the row of their step, which is logged then.

    Returns:
        Seconds that the steps took, those of earlier runs included, measurements not.

    Raises:
        Diverged: a metric or a weight is not finite. Nothing is saved from that step on.
        Interrupted: SIGINT, SIGTERM or SIGUSR1 came, or torchrun, which had started this process, has ended; the last
            step is saved.
        RunStopped: another process has ended.
        DataError: no checkpoint is whole, processes see different ones, or one cannot be written.
    """
    row_logs = [run.metrics, *row_logs] if options.main_process else []
    journals = [*journals, *row_logs]
    every = every or {}
    done, seconds_before = _restore(run, parts, journals)
    if done == 0:
        for measurement in measurements:
            measurement.begin()
    clock = _Clock(seconds_before)

    def save(done: int) -> None:
        watch.check_state(done, parts)
        for journal in journals:
            journal.commit(done)
        if options.main_process:
            with writing_to(run.path):
                save_checkpoint(run.checkpoints, done, parts, keep=options.keep, extra={"seconds": clock.seconds()})

    per_step = options.images_per_step
    with (
        loss_of_a_process(),
        _StopSignals() as stop,
        Progress(
            options.label, options.total_steps * per_step, "images", done=done * per_step, enabled=options.main_process
        ) as progress,
    ):
        watch = _Watch(run)
        for index in range(done, options.total_steps):
            watch.see(_Metrics(index, step(index), options.device, stop.wished))
            done = index + 1
            last = done == options.total_steps
            stopping = watch.stopping
            saving = stopping or last or done % options.checkpoint_every == 0
            due = [measurement for measurement in measurements if last or done % measurement.period == 0]
            logging = bool(due) or last or done % options.log_every == 0
            if saving or logging:
                watch.settle()
            if logging:
                row = watch.row()
                with clock.stopped():
                    for measurement in due:
                        row |= measurement.take()
                for row_log in row_logs:
                    row_log.append(row)
                progress.numbers.update({name: row[name] for name in options.watch if name in row})
            progress.update(done * per_step)
            # Before the checkpoint: what a kill takes away in between is done again.
            for period, action in every.items():
                if options.main_process and (done % period == 0 or last):
                    action(done)
            if saving:
                save(done)
            if stopping and not last:
                # A launcher that sees one process end may kill the others: the main one has to have saved.
                wait_for_all()
                raise Interrupted(
                    f"stopped by {stop.name or 'a signal to another process'} after step {done} of "
                    f"{options.total_steps}, saved in {run.path}; run the same command again to continue",
                    stop.name,
                )
    return clock.seconds()


def _restore(run: RunFolder, parts: Mapping[str, Stateful], journals: Sequence[Journal]) -> tuple[int, float]:
    """Give each part its state of the newest checkpoint; the steps done and the seconds they took.

    Raises:
        DataError: there is no whole checkpoint, or processes see different ones.
    """
    checkpoint: Checkpoint | None = None
    problem: Exception | None = None
    try:
        checkpoint = load_newest(run.checkpoints)
    except DataError as error:
        problem = error
    check_agreement(checkpoint.identity if checkpoint is not None else "no checkpoint", problem, run.checkpoints)
    if checkpoint is not None:
        for name, part in parts.items():
            part.load_state_dict(checkpoint.parts[name])
    done = checkpoint.step if checkpoint is not None else 0
    for journal in journals:
        journal.rewind(done)
    return done, checkpoint.extra["seconds"] if checkpoint is not None else 0.0


class _Clock:
    """The seconds that a run's steps took, `before` of them in earlier processes."""

    def __init__(self, before: float) -> None:
        self.start = time.monotonic() - before

    def seconds(self) -> float:
        return time.monotonic() - self.start

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done meanwhile does not count."""
        begun = time.monotonic()
        yield
        self.start += time.monotonic() - begun


class _Metrics:
    """The scalars of step `index`, averaged over processes: one that is not finite in any is not finite in all.

    Args:
        index: of the step, counted from 0.
        values: by name; tensors of this process, and numbers that are the same in every process.
        device: of the training.
        stop: whether this process was asked to stop.
    """

    def __init__(self, index: int, values: Mapping[str, Tensor | float], device: torch.device, stop: bool) -> None:
        self.index, self.values, self.asked = index, values, stop
        of_tensors = [v.detach().to(torch.float32).reshape(()) for v in values.values() if isinstance(v, Tensor)]
        # One exchange a step serves the metrics and the wish to stop.
        stacked = torch.stack([*of_tensors, torch.full((), float(stop), device=device)])
        self.readback = Readback(average(stacked))

    @cached_property
    def numbers(self) -> list[float]:
        """The tensors' values, then the part of the processes that was asked to stop."""
        return self.readback.numbers()

    @property
    def finite(self) -> bool:
        return all(math.isfinite(value) for value in self.row().values())

    @property
    def stop(self) -> bool:
        return self.numbers[-1] > 0

    def row(self) -> dict[str, float]:
        """As `metrics.jsonl` has it."""
        averages = iter(self.numbers)
        row = {name: next(averages) if isinstance(v, Tensor) else v for name, v in self.values.items()}
        return {"step": self.index + 1, **row}


class _Watch:
    """Sees each step's metrics, and ends the run, in all processes after the same step.

    It looks at a step's metrics one step late, so that nothing waits for a GPU, but always before a checkpoint.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.newest: _Metrics | None = None
        self.settled = True
        self.stopping = False

    def see(self, metrics: _Metrics) -> None:
        """Check the step before, and keep this one's metrics."""
        self.settle()
        self.newest, self.settled = metrics, False
        if not is_distributed():
            self.stopping = metrics.asked

    def settle(self) -> None:
        """Check what has not been checked yet.

        Raises:
            Diverged: a metric is not finite.
        """
        if self.settled or self.newest is None:
            return
        self.settled = True
        self.stopping = self.stopping or self.newest.stop
        if not self.newest.finite:
            row = self.newest.row()
            bad = [f"{name} is {value}" for name, value in row.items() if not math.isfinite(value)]
            raise self._diverged(", ".join(bad), row["step"])

    def row(self) -> dict[str, float]:
        """The newest step's, as `metrics.jsonl` has it."""
        assert self.newest is not None  # there was a step
        return self.newest.row()

    def check_state(self, done: int, parts: Mapping[str, Stateful]) -> None:
        """Check what is about to be saved: a gradient can overflow in a step whose losses are still numbers."""
        for name, part in parts.items():
            tensors = [t for t in _tensors(part.state_dict()) if t.is_floating_point()]
            if tensors and not torch.stack([torch.isfinite(t).all() for t in tensors]).all():
                raise self._diverged(f"the state of the {name} is not finite", done)

    def _diverged(self, what: str, step: float) -> Diverged:
        saved = list_checkpoints(self.run.checkpoints)
        return Diverged(
            f"{what} at step {step}; the run stops. The last good checkpoint is "
            f"{saved[-1] if saved else 'none: no checkpoint was saved yet'}. A smaller --learning-rate may help"
        )


def _tensors(state: Any) -> Iterator[Tensor]:
    """All the tensors in a state."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, (Mapping, list, tuple)):
        for value in state.values() if isinstance(state, Mapping) else state:
            yield from _tensors(value)


class _StopSignals:
    """Turns the first SIGINT, SIGTERM or SIGUSR1 into a wish to stop between steps; a second SIGINT or SIGTERM ends the
    process at once. SIGUSR1 is what Slurm can send some time before a job's end (`--signal=USR1@120`).

    A launcher of several processes passes on what it gets, and a terminal or a scheduler sends to all of them: the same
    wish then comes twice. So under a launcher what follows within `ECHO_SECONDS` is no second signal.

    A launcher may also end without a word to its processes: torchrun does of SIGUSR1, unless it is told to pass that
    on. Nobody would end them then, so the end of their launcher counts as a signal to them.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        by_torch = "TORCHELASTIC_RUN_ID" in os.environ
        self.launched = is_distributed() or by_torch
        self.launcher = os.getppid() if by_torch else None

    def __enter__(self) -> _StopSignals:
        self.previous = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            try:
                self.previous[number] = signal.signal(number, self._received)
            except ValueError:  # not in the main thread, as in a notebook's worker: signals stay as they are
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.name is None:
            self.name, self.since = signal.Signals(number).name, time.monotonic()
            if not self.launched and number != signal.SIGUSR1:
                # Even where no Python runs, as in a long kernel, the next one ends the process.
                for each in self.previous:
                    signal.signal(each, signal.SIG_DFL)
        elif number != signal.SIGUSR1 and time.monotonic() - self.since > ECHO_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    @property
    def wished(self) -> bool:
        """Whether this process was asked to stop, or its launcher has ended."""
        if self.name is None and self.launcher is not None and os.getppid() != self.launcher:
            self.name, self.since = "the end of its launcher", time.monotonic()
        return self.name is not None
