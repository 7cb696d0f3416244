"""What a comparison will take, before it begins: its plan, and the time and disk for what is not there yet.

A few steps of each arm are really trained, in a temporary folder; what they took is multiplied by the steps and seeds
that are left. Nothing is written to the comparison's own folder.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection, Hashable, Iterable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ..configs.arms import Arm, needs_set
from ..configs.compare import CompareConfig
from ..data.caching import shared_cache
from ..encoder import load_encoder
from ..errors import RunStopped
from ..progress.line import say
from ..runs.loop import Interrupted
from ..runs.opening import check_out
from ..runtime.distributed import create_accelerator
from ..runtime.srun import join_step
from .evaluations import CORRUPTED_SETS, ROBUSTNESS, Cell, all_questions
from .execution import (
    LONG_STEPS,
    SHORT_STEPS,
    arms_to_plan,
    check_inputs,
    count_images,
    kept_budget,
    length,
    steps_per_epoch,
)
from .plan import Budget, PlannedRun, generation, make_budget, planned_runs, recorded_by, runs_to_come, with_recordings
from .progress import answered, compared, finished, question_key, samples_done, steps_done
from .runs import ComparedRun, check_named, read_labelled
from .trial import (
    FIRST_STEPS,
    MOST_STEPS,
    ArmTrial,
    EvaluationTrial,
    SetTrial,
    size_of,
    try_arm,
    try_evaluation,
    try_set,
)

TRIAL_SECONDS = 20.0
"""For the trials of all arms, unless a few steps take longer. Ours: short enough to be tried first."""
EVALUATION_SECONDS = 5.0
"""For the trial of the evaluations of a backbone. Ours."""
WORTH_IT = 2
"""Times as many steps that a second trial must have. Ours."""


def forecast(config: CompareConfig) -> dict[str, Any]:
    """The plan of a comparison, and what it will take to do what is left of it.

    Returns:
        `arms`, each with `arm`, `steps`, `runs`, `runs_left`, `seconds_per_step`, `seconds` and `bytes`; `set`, with
        `num_samples`, `samples_left`, `seconds` and `bytes` (None without one); `evaluations`, with `evaluations`,
        `evaluations_left`, `seconds` and `bytes`; `seconds` and `bytes` of all, `bytes_free` where the folder will be,
        and `notes`, what the estimate is made of, a sentence each. Seconds and bytes are those that are left.

    Raises:
        UsageError, DataError: what `compare` would refuse.
        RunStopped: Ctrl-C.
    """
    join_step()
    check_out(config.out, "compare", config)
    accelerator = create_accelerator(config.precision)
    folder = [tempfile.mkdtemp(prefix="synthcl-") if accelerator.is_main_process else ""]
    broadcast_object_list(folder)
    try:
        with shared_cache():
            return _Forecast(config, accelerator, Path(folder[0])).summary()
    except Interrupted:
        raise RunStopped(f"interrupted; nothing was written to {config.out}") from None
    finally:
        if accelerator.is_main_process:
            shutil.rmtree(folder[0], ignore_errors=True)


class _Forecast:
    def __init__(self, config: CompareConfig, accelerator: Accelerator, home: Path) -> None:
        self.config, self.accelerator, self.home = config, accelerator, home
        self.arms: dict[str, ArmTrial] = {}
        self.set: SetTrial | None = None
        self.notes: list[str] = []
        self.joined = read_labelled(config.run, config.declared())
        if config.trains:
            assert config.data is not None, "checked with the options"
            self.data, self.num_images = config.data, check_inputs(config)
            check_named(config, [*runs_to_come(config), *self.joined])
            self.budget: Budget | None = self._plan()
            self.runs = planned_runs(config, self.budget)
        else:
            check_named(config, self.joined)
            self.data = config.data or self.joined[0].config.data
            self.num_images = count_images(config, self.data, self.joined[0].config.image_size)
            self.budget, self.runs = None, []
        self.there: list[ComparedRun] = [*compared(self.runs), *self.joined]

    def summary(self) -> dict[str, Any]:
        """See `forecast`."""
        left = [run for run in self.runs if not finished(run)]
        self._try({run.arm.name: run.arm for run in left}.values())
        arms = [self._arm(name) for name in dict.fromkeys(run.arm.name for run in self.runs)]
        generated, evaluations = self._set(), self._evaluations()
        parts = [*arms, evaluations, *([generated] if generated is not None else [])]
        seconds = sum(part["seconds"] for part in parts)
        size = sum(part["bytes"] for part in parts)
        free = _free_bytes(Path(self.config.out))
        notes = [*self._origin(), *self.notes]
        if size > free:
            notes.append(f"it needs {size / 1e9:,.1f} GB and the disk of {self.config.out} has {free / 1e9:,.1f} GB")
        return {
            "out": self.config.out,
            "arms": arms,
            "set": generated,
            "evaluations": evaluations,
            "seconds": round(seconds, 1),
            "bytes": size,
            "bytes_free": free,
            "notes": notes,
        }

    def _plan(self) -> Budget:
        """The lengths: those that are decided, or would be."""
        before = kept_budget(self.config)
        new = arms_to_plan(self.config, before)
        rates: dict[str, float] = {}
        if self.config.equal == "seconds" and new:
            self._try(new)
            rates = {arm.name: self.arms[arm.name].seconds_per_step for arm in new}
            measuring = sum(
                (SHORT_STEPS + LONG_STEPS) * trial.seconds_per_step + 2 * trial.seconds_around
                for trial in self.arms.values()
            )
            self.notes.append(
                f"the steps of equal seconds are measured anew, and longer, when it begins, which takes about "
                f"{measuring:,.0f} s more"
            )
        return make_budget(self.config, length(self.config), steps_per_epoch, rates, before)

    def _try(self, arms: Iterable[Arm]) -> None:
        """Train those of the arms that have not been tried, and those whose recordings they need."""
        wanted = [arm for arm in arms if arm.name not in self.arms]
        order = with_recordings(self.config, wanted)
        if not order:
            return
        shards = self._shards() if any(needs_set(arm) for arm in order) and not self.config.shards else None
        begun = time.monotonic()
        for number, arm in enumerate(order):
            if self.accelerator.is_main_process:
                say(f"trying {arm.name} for a few steps")
            trial = try_arm(self.config, arm, FIRST_STEPS, self.home / "first", shards)
            source = recorded_by(self.config, arm)
            share = (TRIAL_SECONDS - (time.monotonic() - begun)) / (len(order) - number)
            steps = min(MOST_STEPS, int(share / max(trial.seconds_per_step, 1e-6)))
            if source is not None:
                steps = min(steps, self.arms[source].steps)
            steps = self._agree(steps)
            if steps >= WORTH_IT * FIRST_STEPS and (source is None or self.arms[source].steps == steps):
                trial = try_arm(self.config, arm, steps, self.home / "second", shards)
            self.arms[arm.name] = trial

    def _agree(self, value: int) -> int:
        """The main process's value, in all processes."""
        return broadcast_object_list([value])[0]

    def _shards(self) -> Path:
        """The set to try arms with: the comparison's own if it is there, else a few samples."""
        own = Path(self.config.out) / "shards"
        kept = kept_budget(self.config)
        if kept is not None and kept.num_samples is not None and samples_done(own) == kept.num_samples:
            return own
        if self.set is None:
            self.set = try_set(self.config, self.home)
        return self.set.path

    def _arm(self, name: str) -> dict[str, Any]:
        runs = [run for run in self.runs if run.arm.name == name]
        left = [run for run in runs if not finished(run)]
        trial = self.arms.get(name)
        row = {
            "arm": name,
            "steps": runs[0].config.steps,
            "runs": len(runs),
            "runs_left": len(left),
            "seconds_per_step": None,
            "seconds": 0.0,
            "bytes": 0,
        }
        if trial is not None and left:
            row["seconds_per_step"] = trial.seconds_per_step
            row["seconds"] = round(sum(_seconds(trial, run) for run in left), 1)
            row["bytes"] = round(sum(_bytes(trial, run) for run in left))
        return row

    def _set(self) -> dict[str, Any] | None:
        wanted = generation(self.config, self.budget) if self.budget is not None else None
        if wanted is None:
            return None
        assert wanted.num_samples is not None, "a comparison says how many"
        left = wanted.num_samples - min(samples_done(wanted.out), wanted.num_samples)
        if left and self.set is None:
            self.set = try_set(self.config, self.home)
        return {
            "num_samples": wanted.num_samples,
            "samples_left": left,
            "seconds": round(left * self.set.seconds, 1) if left and self.set is not None else 0.0,
            "bytes": round(left * self.set.bytes) if left and self.set is not None else 0,
        }

    def _evaluations(self) -> dict[str, Any]:
        backbones = self._backbones()
        asked = all_questions(list(backbones), self.config, self.data)
        done = answered(self.config, self.data, self.there)
        left = [(cell, question) for cell, question in asked if question_key(cell, question) not in done]
        trials = self._evaluation_trials({backbones[cell] for cell, _ in left})
        seconds = size = 0.0
        encoded: set[Hashable] = set()
        for cell, question in left:
            num_train, num_test = self.num_images[question.data, question.test_data]
            trial = trials[backbones[cell]]
            for images, number in ((question.data, num_train), ((question.data, question.test_data), num_test)):
                features = (cell, question.untrained, images)
                if features not in encoded:
                    encoded.add(features)
                    seconds += number * trial.seconds_per_image
                    size += number * trial.bytes_per_image
            if question.task == ROBUSTNESS:
                seconds += trial.linear_seconds(num_train)
                seconds += CORRUPTED_SETS * num_test * trial.seconds_per_image
            elif question.task == "linear":
                seconds += trial.linear_seconds(round(question.label_fraction * num_train))
            else:
                seconds += trial.vote_seconds * num_train * num_test
        return {
            "evaluations": len(asked),
            "evaluations_left": len(left),
            "seconds": round(seconds, 1),
            "bytes": round(size),
        }

    def _backbones(self) -> dict[Cell, str]:
        """The backbone of each run, in the order in which they are evaluated."""
        planned = {Cell(run.arm.name, run.seed): run.config.backbone for run in self.runs}
        return planned | {Cell(run.name, run.seed): run.config.backbone for run in self.there}

    def _evaluation_trials(self, backbones: Collection[str]) -> dict[str, EvaluationTrial]:
        """What evaluations of encoders of each backbone take; tried in the main process alone."""
        tried = {run.config.backbone: self.arms[run.arm.name].path for run in self.runs if run.arm.name in self.arms}
        paths = {run.config.backbone: run.path for run in self.there} | tried
        if backbones and self.accelerator.is_main_process:
            say("trying the evaluations")
        return {
            backbone: try_evaluation(
                self.config, self.data, load_encoder(paths[backbone]), EVALUATION_SECONDS / len(backbones)
            )
            for backbone in sorted(backbones)
        }

    def _origin(self) -> list[str]:
        """What the estimate is made of, and how rough it is."""
        lines = []
        if self.arms:
            steps = [trial.steps for trial in self.arms.values()]
            few = f"{min(steps)} to {max(steps)}" if min(steps) < max(steps) else f"{steps[0]}"
            lines.append(
                f"the time of trainings is that of {few} real steps of each arm, on this machine and as busy as it is "
                "now, times the steps that are left; the disk is what these left, with as many checkpoints as are kept"
            )
        if self.set is not None:
            lines.append("those of the set are from the samples of one step")
        lines.append(
            "those of evaluations are from encoding some of the images and fitting probes to them, in proportion to "
            "the images: half or twice as long is possible"
        )
        return lines


def _seconds(trial: ArmTrial, run: PlannedRun) -> float:
    """What is left of a run."""
    steps = run.config.steps or 0
    return trial.seconds(run.config, steps - steps_done(run.path, steps))


def _bytes(trial: ArmTrial, run: PlannedRun) -> float:
    """What a run will take on disk beyond what it has."""
    return max(0.0, trial.bytes(run.config, run.config.steps or 0) - size_of(run.path))


def _free_bytes(folder: Path) -> int:
    """The free bytes of the disk that a folder is on or will be on."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free
