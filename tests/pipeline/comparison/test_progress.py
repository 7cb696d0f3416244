"""The parts of a comparison's progress: their titles, what a unit of each costs, and what is done of them."""

import json

import pytest

from synthcl.pipeline.comparison import progress
from synthcl.pipeline.comparison.evaluations import Cell, Question
from synthcl.pipeline.comparison.plan import make_budget, planned_runs
from synthcl.pipeline.comparison.progress import (
    EVALUATION_COST,
    GENERATION_COST,
    JOINT_COST,
    SET,
    compared,
    comparison_parts,
    plan_overall,
    question_in_words,
    question_key,
)
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.progress.overall import Overall

NUM_IMAGES = {("digits", None): (1000, 200), ("mnist", None): (3000, 300)}


@pytest.fixture
def config(tmp_path):
    return CompareConfig(
        data="digits", out=str(tmp_path / "out"), generator="gan", batch_size=64, steps=100, seeds=2,
        label_fraction=[0.1], regimes="real,offline,online", transfer=["mnist"],
    )  # fmt: skip


def budget_of(config):
    return make_budget(config, config.steps, lambda _: 10)


def finish(run, **result):
    """A run as `train` leaves it, as far as is read here."""
    run.path.mkdir(parents=True)
    values = {"steps": run.config.steps, "seconds": 30.0, **result}
    (run.path / "result.json").write_text(json.dumps(values))


def test_set_runs_and_evaluations_in_their_order_with_their_costs(config):
    found = comparison_parts(config, budget_of(config), NUM_IMAGES)
    generated, *others = found
    assert (generated.key, generated.units, generated.done) == (SET, 3200, 0)
    assert generated.title == "offline set of 3,200 latents" and generated.cost == 2 * GENERATION_COST
    runs, asked = others[:6], others[6:]
    assert [part.title for part in runs[:3]] == [
        "run 1 of 6: real, seed 0", "run 2 of 6: offline, seed 0", "run 3 of 6: online, seed 0",
    ]  # fmt: skip
    # 64 real images, or 64 and 32 pairs; the generator is trained along in the last.
    assert [part.cost for part in runs[:3]] == [64, 128, 128 * JOINT_COST]
    assert {part.units for part in runs} == {100.0} and {part.label for part in runs[:1]} == {"train real"}
    # Of each run: two fractions, neighbours, transfer; of untrained weights one less, once a seed.
    assert len(asked) == 6 * 4 + 2 * 3
    assert asked[0].title == "evaluation 1 of 30: linear on digits, 0.1 of the labels, real seed 0"
    assert asked[0].cost == pytest.approx(1200 * EVALUATION_COST)
    assert asked[3].cost == pytest.approx(3300 * EVALUATION_COST)
    assert asked[-1].title.endswith("linear on mnist, untrained seed 1")
    assert len({part.key for part in found}) == len(found)


def test_robustness_reads_the_test_images_many_times(config):
    config.robustness, config.transfer, config.label_fraction = True, [], [1.0]
    found = comparison_parts(config, budget_of(config), NUM_IMAGES)
    (part,) = [one for one in found if one.title.endswith("robustness on digits, real seed 0")]
    assert part.cost == pytest.approx((1000 + 200 * 56) * EVALUATION_COST)


def test_single_images_cost_half_as_much_to_generate(config):
    config.pairs = False
    assert comparison_parts(config, budget_of(config), NUM_IMAGES)[0].cost == GENERATION_COST


def test_what_is_on_disk_is_done(config, monkeypatch):
    runs = planned_runs(config, budget_of(config))
    first, second, third = runs[:3]
    finish(first)
    (second.path / "checkpoints" / "step-00000040").mkdir(parents=True)
    finish(third, steps=50)  # of a shorter training: it is extended
    (third.path / "checkpoints" / "step-00000050").mkdir(parents=True)
    read = []
    monkeypatch.setattr(progress, "compared", lambda planned: read.extend(planned) or [])
    found = {part.key: part for part in comparison_parts(config, budget_of(config), NUM_IMAGES)}
    assert [found[progress.run_key(run)].done for run in runs[:4]] == [100, 40, 50, 0]
    assert [progress.finished(run) for run in runs[:4]] == [True, False, False, False]


def test_answers_that_are_kept_are_done_and_tell_how_long_they_took(config, make_run, monkeypatch):
    one, other = make_run("real", 0, label="a"), make_run("online", 0, label="b")
    asked = Question("knn", "digits", None, 1.0, 0)
    monkeypatch.setattr(progress, "answered", lambda *args: {question_key(Cell("a", 0), asked)})
    answers = progress.Path(config.out) / "answers"
    answers.mkdir(parents=True)
    question = {"task": "knn", "data": "digits", "test_data": None, "label_fraction": 1.0, "seed": 0}
    (answers / "x.json").write_text(json.dumps({"question": question, "seconds": 7.0}))
    overall = Overall(enabled=False)
    plan_overall(overall, config, budget_of(config), NUM_IMAGES, [one, other])
    assert overall.done[question_key(Cell("a", 0), asked)] == 1.0
    assert overall.done[question_key(Cell("b", 0), asked)] == 0.0
    assert overall.measured["evaluation", "knn", "digits", None, 1.0] == (1, 7.0, 7.0)
    assert overall.measured["run", "a"] == (4, 1.0, 1.0), "the steps and seconds of a run that joins"


def test_finished_runs_are_read_as_of_their_arms(config, make_run, monkeypatch):
    runs = planned_runs(config, budget_of(config))[:2]
    made = make_run("real", 0)
    monkeypatch.setattr(progress, "finished", lambda run: run is runs[1])
    monkeypatch.setattr(progress, "read_run", lambda path: made)
    (found,) = compared(runs)
    assert found.arm == runs[1].arm and found.path == made.path


@pytest.mark.parametrize(("fraction", "words"), [(1.0, "knn on digits"), (0.125, "knn on digits, 0.125 of the labels")])
def test_a_question_in_words(fraction, words):
    assert question_in_words(Question("knn", "digits", None, fraction, 0)) == words
