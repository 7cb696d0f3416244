"""What the benchmarks of speed share: trainings that pause between steps, contests in rounds, and a result a line.

A contest alternates: in each round every contestant does its steps, and a ratio is taken within the round, so that what
else the machine does falls on all of them. The first rounds are a warm-up and are left out. As a script it says in JSON
what it runs on.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from synthcl.pipeline import TrainConfig, train
from synthcl.pipeline.progress.line import Progress, watched_by
from synthcl.pipeline.runtime.environment import processor, record_environment, version_of
from synthcl.pipeline.training.step import TrainingStep

FOREVER = 10_000_000
"""Steps of a training that is ended from outside: its schedules stay where they begin."""
_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h

_one_step = TrainingStep.__call__
_trainings: dict[int, PausedTraining] = {}


class _Silent:
    """Is told of progress and shows none: tables are all that is to stand on stderr."""

    def begun(self, progress: Progress) -> None: ...

    def advanced(self, progress: Progress) -> None: ...

    def ended(self, progress: Progress) -> None: ...


class _Ended(BaseException):
    """Ends a training between two steps; no handler of errors is to take it for one."""


class PausedTraining:
    """`synthcl train` in a thread of its own, which does its steps only when it is asked to.

    So trainings of several kinds take turns in one process, and all that the command does around a step is in their
    time: reading, the loop, metrics, progress, rows of the log. A checkpoint comes after 1,000 steps, as by default.

    Args:
        options: of `train`, without its length.

    Attributes:
        step: the training step that is about to be done, once there was one.
        index: its number.
        around: does a step: called with what does it.
    """

    def __init__(self, **options: Any) -> None:
        self.step: TrainingStep
        self.index = 0
        self.around: Callable[[Callable[[], Any]], Any] = lambda do: do()
        self._config = TrainConfig(**options, steps=FOREVER)
        self._left, self._ending = 0, False
        self._error: BaseException | None = None
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def __call__(self, steps: int) -> None:
        """Do so many steps, with all that comes between them."""
        self._left = steps
        self._go.release()
        self._wait()

    def end(self) -> None:
        """End the training, with nothing saved."""
        self._ending = True
        self._go.release()
        self._thread.join()

    def _wait(self) -> None:
        self._paused.acquire()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        _trainings[threading.get_ident()] = self
        try:
            train(self._config)
        except _Ended:
            return
        except BaseException as error:
            self._error = error
        finally:
            del _trainings[threading.get_ident()]
        self._paused.release()

    def before(self, step: TrainingStep, index: int) -> None:
        """Pause, if this block of steps is over."""
        self.step, self.index = step, index
        if self._left == 0:
            self._paused.release()
            self._go.acquire()
            if self._ending:
                raise _Ended
        self._left -= 1


def _pausing_step(step: TrainingStep, index: int) -> Any:
    own = _trainings.get(threading.get_ident())
    if own is None:
        return _one_step(step, index)
    own.before(step, index)
    return own.around(lambda: _one_step(step, index))


@contextmanager
def paused_trainings(settings: dict[str, dict[str, Any]]) -> Iterator[dict[str, PausedTraining]]:
    """Trainings by name, each ready for its first step; ended on the way out.

    They share one heap, as they would not by themselves in threads: `keep_freed_memory` works on the first one.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    with (
        mock.patch.object(TrainingStep, "__call__", _pausing_step),
        watched_by(_Silent()),
        ExitStack() as stack,
    ):
        found: dict[str, PausedTraining] = {}
        for name, options in settings.items():
            found[name] = PausedTraining(**options)
            stack.callback(found[name].end)
        yield found


class Stopwatch:
    """Seconds, with the device's work included.

    Args:
        device: of the work.
        clock: "wall", or "cpu" for the process's own CPU time, where others share the processor.
    """

    def __init__(self, device: torch.device, clock: str = "wall") -> None:
        self.device = device
        self.read = time.process_time if clock == "cpu" else time.perf_counter

    def now(self) -> float:
        """The time, once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.read()


class Parts:
    """Seconds by part: what is inside another measured part counts for the inner one alone."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch, self.seconds = watch, defaultdict(float)
        self._inside: list[str] = []
        self._last = watch.now()

    def switch(self) -> None:
        """Give the part that is under way what has passed since the last switch."""
        now = self.watch.now()
        if self._inside:
            self.seconds[self._inside[-1]] += now - self._last
        self._last = now

    def rename(self, name: str) -> None:
        """What comes now, in the part that is under way, counts for another."""
        self.switch()
        self._inside[-1] = name

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.switch()
        self._inside.append(name)
        try:
            yield
        finally:
            self.switch()
            self._inside.pop()

    def watching(self, owner: Any, attribute: str, name: str | Callable[..., str]) -> Any:
        """A context in which calls of `owner.attribute` are measured; `name` may follow from the arguments."""
        original = getattr(owner, attribute)

        def timed(*arguments: Any, **options: Any) -> Any:
            with self.part(name if isinstance(name, str) else name(*arguments, **options)):
                return original(*arguments, **options)

        return mock.patch.object(owner, attribute, timed)


def nothing() -> None:
    """What most contestants need before and after a round."""


def contest(
    contestants: dict[str, Callable[[int], None]], *, rounds: int, warmup: int, steps: int, watch: Stopwatch
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds a step of each contestant, by round; and those until the host was free again, without the device.

    A contestant that has `prepare` and `finish` is asked for them before and after each round, untimed.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    of_host: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(-warmup, rounds):
        for name, run in contestants.items():
            getattr(run, "prepare", nothing)()
            begun = watch.now()
            run(steps)
            free = watch.read()
            ended = watch.now()
            getattr(run, "finish", nothing)()
            if round_ >= 0:
                times[name].append((ended - begun) / steps)
                of_host[name].append((free - begun) / steps)
    return times, of_host


def once(run: Callable[[], object]) -> Callable[[int], None]:
    """A contestant that does the same again at each step."""

    def repeat(steps: int) -> None:
        for _ in range(steps):
            run()

    return repeat


def spread(values: list[float], scale: float = 1.0, digits: int = 3) -> dict[str, Any]:
    """The median, the range and the number of values."""
    scaled = [value * scale for value in values]
    return {
        "median": round(statistics.median(scaled), digits),
        "range": [round(min(scaled), digits), round(max(scaled), digits)],
        "n": len(scaled),
    }


def ratio(above: list[float], below: list[float]) -> dict[str, Any]:
    """`above` over `below`, round by round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def in_words(found: dict[str, Any], digits: int = 2) -> str:
    low, high = found["range"]
    return f"{found['median']:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def environment(**packages: str) -> dict[str, Any]:
    """What a run of `synthcl` records of where it ran, with the processor's own name and other packages' versions."""
    recorded = record_environment()
    recorded["hardware"] |= {"processor": processor(), "cores": len(os.sched_getaffinity(0))}
    recorded["versions"] |= {name: version_of(package) for name, package in packages.items()}
    return recorded


def emit(benchmark: str, options: argparse.Namespace, row: dict[str, Any], recorded: dict[str, Any]) -> None:
    """A result, as one line of JSON on stdout."""
    print(json.dumps({"benchmark": benchmark, **row, "options": vars(options), **recorded}), flush=True)


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options that all benchmarks of speed have."""
    parser.add_argument("--data", default="digits", help="SPEC of the images; digits needs no download")
    parser.add_argument("--backbone", default="resnet10-w16")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="of the learner")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1, help="rounds before those that count")
    parser.add_argument("--threads", type=int, default=0, help="of torch on the host; 0: as torch chooses")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to train; a GPU if there is one")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu where others share the processor")


def settle(options: argparse.Namespace) -> torch.device:
    """Do what the common options ask of the process, before anything looks for a GPU; the device."""
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if options.threads:
        torch.set_num_threads(options.threads)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    if options.device not in (None, found):
        raise SystemExit(f"--device {options.device}: there is no such device here; leave it out, or give {found}")
    if found == "cuda" and options.clock == "cpu":
        raise SystemExit("--clock cpu says nothing of a GPU's time; give --clock wall")
    options.device = found
    return torch.device(found)


if __name__ == "__main__":
    print(json.dumps(environment()))
