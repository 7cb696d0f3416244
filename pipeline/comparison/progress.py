"""What a comparison is made of, part by part, for its overall progress (see overall.py) and for its forecast."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ..configs.arms import UNTRAINED
from ..configs.compare import CompareConfig
from ..configs.regimes import REGIMES
from ..files import read_json
from ..progress.overall import Overall, Part
from ..runs.folder import RunFolder
from ..runs.length import steps_saved
from ..shards.layout import manifest_path
from ..shards.status import summarize
from .evaluations import CORRUPTED_SETS, ROBUSTNESS, Answers, Cell, Question, all_questions
from .plan import Budget, PlannedRun, generation, images_per_latent, images_per_step, planned_runs
from .runs import ComparedRun, read_run

JOINT_COST = 1.7
"""A step that trains the generator too, over one that only puts as many images through the learner. Ours, from the
seconds of the demo; what is measured soon takes its place, as of the next two."""
GENERATION_COST = 0.1
"""An image that is generated and written, over one that is trained on."""
EVALUATION_COST = 1 / 3
"""An image of an evaluation, over one that is trained on: it is encoded once, without gradients, and a probe fitted."""

NumImages: TypeAlias = Mapping[tuple[str, str | None], tuple[int, int]]
"""Images to fit probes on and to score them on, by the SPECs of both; None for the test split of the first."""
SET = "set"
"""The key of the generated set."""


def run_key(planned: PlannedRun) -> tuple[str, str, int]:
    """The key of a training."""
    return ("run", planned.arm.name, planned.seed)


def question_key(cell: Cell, question: Question) -> tuple[str, str, int, Question]:
    """The key of an evaluation of a run, or of untrained weights in its place."""
    return ("evaluation", "" if question.untrained else cell.arm, cell.seed, question)


def steps_done(run: str | Path, steps: int) -> int:
    """The steps of a run of this length that are on disk: all of a finished one, else its newest checkpoint's."""
    result = RunFolder(Path(run)).result
    return steps if result is not None and result.get("steps") == steps else min(steps_saved(run), steps)


def finished(planned: PlannedRun) -> bool:
    """Whether a planned run has its result."""
    result = RunFolder(planned.path).result
    return result is not None and result.get("steps") == planned.config.steps


def samples_done(out: str | Path) -> int:
    """The samples of a set that are published; 0 where there is none."""
    if not manifest_path(Path(out)).is_file():
        return 0
    return int(summarize(out).get("num_published", 0))


def comparison_parts(
    config: CompareConfig, budget: Budget, num_images: NumImages, joined: Iterable[ComparedRun] = ()
) -> list[Part]:
    """All that a comparison does: the set, the runs, the evaluations, in that order.

    Args:
        config: of the comparison.
        budget: its lengths.
        num_images: of all that is probed.
        joined: runs that exist and are compared too.
    """
    assert config.data is not None, "checked with the options"
    runs = planned_runs(config, budget)
    there = [*compared(runs), *joined]
    planned, found = [Cell(run.arm.name, run.seed) for run in runs], [Cell(run.name, run.seed) for run in there]
    cells = dict.fromkeys([*planned, *found])
    done = answered(config, config.data, there)
    asked = question_parts(config, config.data, list(cells), num_images)
    return [
        *set_parts(config, budget),
        *run_parts(config, runs),
        *(replace(part, done=part.units) if part.key in done else part for part in asked),
    ]


def plan_overall(
    overall: Overall,
    config: CompareConfig,
    budget: Budget,
    num_images: NumImages,
    joined: Sequence[ComparedRun] = (),
) -> None:
    """Have the overall progress know the parts, and what those took that are done; see `comparison_parts`."""
    overall.plan(comparison_parts(config, budget, num_images, joined))
    for run in [*compared(planned_runs(config, budget)), *joined]:
        if run.result.get("seconds") and run.result.get("steps"):
            overall.learn(("run", run.name), run.result["steps"], run.result["seconds"])
    for file in (Path(config.out) / "answers").glob("*.json"):
        kept = read_json(file, "remove it to have it asked again")
        if kept.get("seconds"):
            overall.learn(question_kind(Question(**kept["question"])), 1, kept["seconds"])


def set_parts(config: CompareConfig, budget: Budget) -> list[Part]:
    """The generated set; none where none is wanted."""
    wanted = generation(config, budget)
    if wanted is None:
        return []
    assert wanted.num_samples is not None, "a comparison says how many"
    done = min(samples_done(wanted.out), wanted.num_samples)
    cost = GENERATION_COST * (2 if config.pairs else 1)
    title = f"offline set of {wanted.num_samples:,} latents"
    return [Part(SET, title, SET, wanted.num_samples, cost, done, label="generate")]


def run_parts(config: CompareConfig, runs: Sequence[PlannedRun]) -> list[Part]:
    """The trainings."""
    return [
        Part(
            run_key(run),
            f"run {number} of {len(runs)}: {run.arm.name}, seed {run.seed}",
            ("run", run.arm.name),
            float(run.config.steps or 0),
            step_cost(config, run),
            steps_done(run.path, run.config.steps or 0),
            label=f"train {run.arm.regime}",
        )
        for number, run in enumerate(runs, start=1)
    ]


def step_cost(config: CompareConfig, run: PlannedRun) -> float:
    """The cost of a training step, in images through the learner."""
    images = images_per_step(run.config, images_per_latent(config, run.arm, run.config))
    return images * (JOINT_COST if REGIMES[run.arm.regime].learns else 1)


def question_parts(config: CompareConfig, data: str, cells: Sequence[Cell], num_images: NumImages) -> list[Part]:
    """The evaluations."""
    asked = all_questions(cells, config, data)
    return [
        Part(
            question_key(cell, question),
            f"evaluation {number} of {len(asked)}: {question_in_words(question)}, "
            f"{UNTRAINED if question.untrained else cell.arm} seed {cell.seed}",
            question_kind(question),
            1.0,
            EVALUATION_COST * num_encoded(question, num_images),
        )
        for number, (cell, question) in enumerate(asked, start=1)
    ]


def num_encoded(question: Question, num_images: NumImages) -> int:
    """Images that an evaluation takes through the encoder."""
    train, test = num_images[question.data, question.test_data]
    return train + test * (1 + CORRUPTED_SETS * (question.task == ROBUSTNESS))


def question_kind(question: Question) -> tuple[str, str, str, str | None, float]:
    """Evaluations that take about as long have the same."""
    return ("evaluation", question.task, question.data, question.test_data, question.label_fraction)


def question_in_words(question: Question) -> str:
    """What is asked, for people."""
    labels = f", {question.label_fraction:.3g} of the labels" if question.label_fraction < 1 else ""
    return f"{question.task} on {question.data}{labels}"


def answered(config: CompareConfig, data: str, runs: Iterable[ComparedRun]) -> set[Hashable]:
    """The keys of the evaluations of these runs whose answers are kept."""
    answers = Answers(list(runs), config, data)
    return {question_key(*asked) for asked in answers.asked if answers.file(*asked).exists()}


def compared(runs: Iterable[PlannedRun]) -> list[ComparedRun]:
    """The planned runs that are finished, as a comparison reads them."""
    return [replace(read_run(run.path), arm=run.arm) for run in runs if finished(run)]
