"""What is asked of each encoder, and the answers, kept in OUT/answers/ so that no question is worked out twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..configs.arms import UNTRAINED
from ..configs.compare import CompareConfig
from ..configs.evaluate import CORRUPTIONS, SEVERITIES
from ..encoder import CONFIG_FILE, find_encoder
from ..evaluation import evaluate_knn, evaluate_linear, evaluate_robustness
from ..evaluation.results import hash_of
from ..evaluation.task import open_labeled
from ..files import read_json, write_json
from ..runs.folder import RESTORE
from .runs import ComparedRun

ROBUSTNESS = "robustness"
CORRUPTED_SETS = len(CORRUPTIONS) * SEVERITIES
"""Times that robustness reads the test images."""
KEPT = (
    "top1", "top5", "top1_interval", "num_train", "num_test", "data", "test_data", "seconds", "l2", "warnings",
    "scored_on_training_split", "image_size", "corrupted_top1", "corrupted",
)  # fmt: skip
"""The keys of a result that an answer keeps."""


@dataclass(frozen=True)
class Question:
    """One evaluation of an encoder.

    Attributes:
        task: `linear`, `knn` or `robustness`.
        data, test_data: SPECs; None for the test split that `data` has.
        label_fraction: part of the labels.
        seed: which part, and of untrained weights.
        transfer: whether the images are others than the encoder's.
        untrained: of untrained weights instead.
    """

    task: str
    data: str
    test_data: str | None
    label_fraction: float
    seed: int
    transfer: bool = False
    untrained: bool = False


class Cell(NamedTuple):
    """An arm and a seed: one run of the comparison, whether it is there yet or not."""

    arm: str
    seed: int


@dataclass(frozen=True)
class Answer:
    """What came out for a run (or its untrained weights): `values` has the names of `KEPT`."""

    arm: str
    seed: int
    question: Question
    values: dict[str, Any]

    @property
    def top1(self) -> float:
        """What was asked for: of `robustness` the accuracy on corrupted images."""
        return self.values["corrupted_top1" if self.question.task == ROBUSTNESS else "top1"]


def questions(config: CompareConfig, data: str, seed: int, *, untrained: bool) -> list[Question]:
    """All that is asked about the encoder of a run, or about untrained weights: those only with all labels."""
    own = (data, config.test_data)
    asked = [
        Question("linear", *own, fraction, seed, untrained=untrained)
        for fraction in config.fractions()
        if fraction == 1 or not untrained
    ]
    asked.append(Question("knn", *own, 1.0, seed, untrained=untrained))
    if config.robustness:
        asked.append(Question(ROBUSTNESS, *own, 1.0, seed, untrained=untrained))
    asked += [Question("linear", *other, 1.0, seed, transfer=True, untrained=untrained) for other in config.transfers()]
    return asked


def all_questions(cells: Sequence[Cell], config: CompareConfig, data: str) -> list[tuple[Cell, Question]]:
    """All that is asked of all runs, and of untrained weights once a seed, each with the run that it is asked of."""
    first_of_seed = {cell.seed: cell for cell in reversed(cells)}
    asked = [(cell, question) for cell in cells for question in questions(config, data, cell.seed, untrained=False)]
    return asked + [
        (cell, question)
        for _, cell in sorted(first_of_seed.items())
        for question in questions(config, data, cell.seed, untrained=True)
    ]


class Answers:
    """The answers that are kept, and those that are worked out.

    Args:
        runs: of whom things are asked.
        config: of the comparison.
        data: SPEC of the images to fit on.
    """

    def __init__(self, runs: Sequence[ComparedRun], config: CompareConfig, data: str) -> None:
        self.config = config
        self.runs = {Cell(run.name, run.seed): run for run in runs}
        self.asked = all_questions(list(self.runs), config, data)
        self.identities = _Identities(config.data_root)

    def file(self, cell: Cell, question: Question) -> Path:
        """Where an answer is kept."""
        identities = self.identities.of(self.runs[cell], question)
        return Path(self.config.out) / "answers" / f"{hash_of({**asdict(question), 'identities': identities})}.json"

    def ask(self, cell: Cell, question: Question) -> None:
        """Work an answer out, and keep it."""
        file = self.file(cell, question)
        file.parent.mkdir(exist_ok=True)
        result = _ask(self.runs[cell], question, self.config)
        write_json(file, {"question": asdict(question), **{n: result[n] for n in KEPT if n in result}})

    def read(self, cell: Cell, question: Question) -> Answer:
        """A kept answer."""
        arm = UNTRAINED if question.untrained else cell.arm
        values = read_json(self.file(cell, question), "remove it to have it asked again")
        return Answer(arm, cell.seed, question, values)


def _ask(run: ComparedRun, question: Question, config: CompareConfig) -> dict[str, Any]:
    evaluate = {"linear": evaluate_linear, "knn": evaluate_knn, ROBUSTNESS: evaluate_robustness}[question.task]
    return evaluate(
        run.path,
        question.data,
        test_data=question.test_data,
        label_fraction=question.label_fraction,
        untrained=question.untrained,
        seed=question.seed,
        data_root=config.data_root,
    )


class _Identities:
    """What encoders and images are, whatever their names: if one of them has changed, the question is another."""

    def __init__(self, data_root: str | None) -> None:
        self.data_root = data_root
        self.known: dict[tuple[str, str | None, int], list[str]] = {}

    def of(self, run: ComparedRun, question: Question) -> list[str]:
        encoder = read_json(find_encoder(run.path) / CONFIG_FILE, RESTORE)
        place = (question.data, question.test_data, encoder["image_size"])
        if place not in self.known:
            train, test, *_ = open_labeled(*place[:2], image_size=place[2], data_root=self.data_root)
            self.known[place] = [train.fingerprint(), test.fingerprint()]
        return [encoder["weights_hash"], *self.known[place]]
