"""What is asked, and that an answer is kept for as long as its encoder and its images are the same."""

import json

import pytest

from synthcl.pipeline.comparison import evaluations
from synthcl.pipeline.comparison.evaluations import Answer, Answers, Cell, Question, all_questions, questions
from synthcl.pipeline.configs.arms import UNTRAINED
from synthcl.pipeline.configs.compare import CompareConfig


def config(out="out", **options):
    return CompareConfig(out=str(out), run=["a", "b"], **options)


def test_questions_are_the_fractions_the_neighbours_and_the_transfers():
    given = config(label_fraction=[0.5, 0.1], transfer=["mnist", "svhn"], transfer_test_data=["m:test", "s:test"])
    asked = questions(given, "digits", 3, untrained=False)
    assert [(q.task, q.data, q.test_data, q.label_fraction, q.transfer) for q in asked] == [
        ("linear", "digits", None, 0.1, False),
        ("linear", "digits", None, 0.5, False),
        ("linear", "digits", None, 1.0, False),
        ("knn", "digits", None, 1.0, False),
        ("linear", "mnist", "m:test", 1.0, True),
        ("linear", "svhn", "s:test", 1.0, True),
    ]
    of_fresh = questions(given, "digits", 3, untrained=True)
    assert [q.label_fraction for q in of_fresh] == [1.0] * 4 and all(q.untrained and q.seed == 3 for q in of_fresh)


def test_corrupted_images_are_asked_for_of_trained_and_fresh_weights():
    for untrained in (False, True):
        asked = questions(config(label_fraction=[1.0], robustness=True), "digits", 3, untrained=untrained)
        assert [q.task for q in asked] == ["linear", "knn", "robustness"] and asked[-1].untrained == untrained


def test_the_score_of_robustness_is_that_on_corrupted_images():
    values = {"top1": 0.9, "corrupted_top1": 0.4}
    scores = [Answer("real", 0, Question(task, "d", None, 1.0, 0), values).top1 for task in ("linear", "robustness")]
    assert scores == [0.9, 0.4]


def test_fresh_weights_are_asked_once_a_seed_of_the_first_run_that_has_it():
    cells = [Cell("real", 0), Cell("real", 1), Cell("online", 0), Cell("online", 7)]
    asked = all_questions(cells, config(label_fraction=[1.0]), "digits")
    assert [cell for cell, q in asked if q.task == "knn" and not q.untrained] == cells
    assert [(cell, q.seed) for cell, q in asked if q.task == "knn" and q.untrained] == [
        (Cell("real", 0), 0), (Cell("real", 1), 1), (Cell("online", 7), 7),
    ]  # fmt: skip


@pytest.fixture
def asked_of(monkeypatch):
    """What is evaluated, without the work."""
    calls = []

    def evaluate(run, data, **options):
        calls.append((str(run), data, options))
        return {"top1": 0.5, "top5": 0.9, "warnings": ["few"], "data": data, "not kept": 1}

    monkeypatch.setattr(evaluations, "evaluate_linear", evaluate)
    monkeypatch.setattr(evaluations, "evaluate_knn", evaluate)
    return calls


def test_an_answer_is_kept_and_read_back(make_run, asked_of, tmp_path):
    run = make_run("real", 2)
    out = tmp_path / "out"
    out.mkdir()
    answers = Answers([run], config(out), "digits")
    cell, question = Cell("real", 2), Question("linear", "digits", None, 0.1, 2, untrained=True)
    assert not answers.file(cell, question).exists()
    answers.ask(cell, question)
    ((path, data, options),) = asked_of
    assert (path, data) == (str(run.path), "digits")
    assert (options["label_fraction"], options["seed"], options["untrained"]) == (0.1, 2, True)
    again = Answers([run], config(out), "digits").read(cell, question)
    assert (again.arm, again.seed, again.question, again.top1) == (UNTRAINED, 2, question, 0.5)
    assert "not kept" not in again.values and len(asked_of) == 1


def test_another_encoder_question_or_image_is_another_file(make_run, tmp_path):
    run = make_run("real", 0)
    cell, question = Cell("real", 0), Question("linear", "digits", None, 1.0, 0)
    files = [Answers([run], config(tmp_path), "digits").file(cell, question)]
    assert Answers([run], config(tmp_path), "digits").file(cell, question) == files[0]
    for other in (
        Question("knn", "digits", None, 1.0, 0),
        Question("linear", "digits", None, 0.5, 0),
        Question("linear", "digits[:50%]", None, 1.0, 0),
        Question("linear", "digits", "digits[:50%]", 1.0, 0),
    ):
        files.append(Answers([run], config(tmp_path), "digits").file(cell, other))
    saved = run.path / "encoder" / "config.json"
    saved.write_text(json.dumps({**json.loads(saved.read_text()), "weights_hash": "of others"}))
    files.append(Answers([run], config(tmp_path), "digits").file(cell, question))
    assert len(set(files)) == len(files) == 6
