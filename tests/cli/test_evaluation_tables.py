"""Results of evaluations as tables: every number with its name and what it means, and the warnings."""

import json

import pytest

from synthcl.cli.evaluation_tables import MANY_CLASSES, MEASURES, TABLES, print_evaluation
from synthcl.pipeline.evaluation.table import TASKS

PROBE = {
    "task": "linear", "run": "runs/[a]", "top1": 0.61234, "top5": 0.95, "top1_interval": [0.55, 0.67],
    "mean_per_class": 0.375, "per_class": [0.5, None, 0.25], "classes": ["cat", "dog", "emu"], "num_train": 1442,
    "num_test": 355,
    "data": "digits:train", "test_data": "digits:test", "probe": "lbfgs", "l2": 0.1, "epochs": 100, "untrained": False,
    "warnings": ["few labels"],
}  # fmt: skip


def shown(capsys, *arguments):
    print_evaluation(*arguments)
    return " ".join(capsys.readouterr().out.replace("│", " ").replace("┃", " ").split())


@pytest.mark.parametrize("task", TASKS)
def test_scripts_get_one_object(capsys, task):
    print_evaluation({**PROBE, "task": task}, True)
    assert json.loads(capsys.readouterr().out) == {**PROBE, "task": task}


def test_each_evaluation_has_its_table():
    assert TABLES.keys() == TASKS.keys()


def test_a_probe_for_people(capsys):
    words = shown(capsys, PROBE, False)
    for part in (
        "linear of runs/[a]",
        "top-1 % 61.23 (55.00 to 67.00)",
        "top-5 % 95.00",
        "mean per class % 37.50",
        "by class emu 25.0, cat 50.0",  # worst first; of dogs there were none
        "fitted on 1,442 of digits:train",
        "scored on 355 of digits:test",
        "settings l2 0.1",
        "warning few labels",
    ):
        assert part in words


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"probe": "sgd", "l2": None}, "settings epochs 100"),
        ({"untrained": True}, "settings l2 0.1, untrained weights"),
        ({"task": "finetune", "l2": None, "preset": "simclr"}, "settings preset simclr, epochs 100"),
        ({"task": "knn", "l2": None, "epochs": None, "k": 20, "temperature": 0.07}, "settings k 20, temperature 0.07"),
    ],
)
def test_settings_are_those_that_matter(capsys, changes, settings):
    assert f"{settings} warning" in shown(capsys, {**PROBE, **changes}, False)


def test_of_many_classes_the_worst_and_the_best_are_shown(capsys):
    many = MANY_CLASSES + 4
    scores = {"per_class": [i / 100 for i in range(many)], "classes": [f"c{i}" for i in range(many)]}
    words = shown(capsys, {**PROBE, **scores}, False)
    half = MANY_CLASSES // 2
    left = [i for i in range(many) if f"c{i} {i}.0" in words]
    assert left == [*range(half), *range(many - half, many)] and ", ..., " in words


def test_few_labels_have_a_row_for_each_number(capsys):
    rows = [{"shots": k, "draws": 5, "top1": k / 10, "top1_interval": [k / 20, k / 5]} for k in (1, 5)]
    words = shown(capsys, {**PROBE, "low_shot": rows}, False)
    assert "1 a class, top-1 % 10.00 (5.00 to 20.00 over 5 draws) 5 a class, top-1 % 50.00 (25.00 to 100.00" in words
    rows[1]["top1_interval"] = None
    words = shown(capsys, {**PROBE, "low_shot": rows}, False)
    assert "5 a class, top-1 % 50.00 (no interval: each draw is all the images)" in words


def test_several_sets_have_a_row_each_by_their_own_measure_and_their_mean(capsys):
    shared = {"top1": 0.4, "top1_interval": [0.3, 0.5], "mean_per_class": 0.6, "scored_on_training_split": False}
    rows = [
        {**shared, "data": "a", "test_data": "a:test", "metric": "top1", "score": 0.4},
        {**shared, "data": "b", "test_data": "b", "metric": "mean_per_class", "score": 0.6},
    ]
    rows[1]["scored_on_training_split"] = True
    result = {"task": "transfer", "run": "r", "top1": 0.4, "score": 0.5, "notes": ["b: drawn [by us]"], "results": rows}
    words = shown(capsys, result, False)
    assert words.endswith("b: drawn [by us]")
    assert "a a:test top-1 % 40.00 30.00 to 50.00" in words
    assert "b b (not held out!) per class % 60.00" in words and "mean 50.00" in words


def test_corrupted_images_have_a_row_each_with_a_column_for_each_severity(capsys):
    rows = [
        {"corruption": name, "severity": severity, "top1": top1}
        for name, values in (("fog", (0.5, 0.3)), ("jpeg", (0.6, 0.2)))
        for severity, top1 in zip((1, 5), values, strict=True)
    ]
    words = shown(capsys, {**PROBE, "task": "robustness", "corrupted": rows, "corrupted_top1": 0.4}, False)
    for part in (
        "robustness of runs/[a], top-1 %",
        "corruption 1 5 mean",
        "none 61.23",
        "fog 50.00 30.00 40.00",
        "jpeg 60.00 20.00 40.00",
        "mean 40.00",
        "fitted on 1,442 of digits:train, scored on 355 of digits:test warning: few labels",
    ):
        assert part in words


def test_every_measure_is_named_with_which_way_is_better(capsys):
    values = {name: 0.1 + i / 1000 for i, name in enumerate(MEASURES)}
    facts = {"num_generated": 1000, "num_held_out": 355, "data": "digits", "encoder": "runs/real"}
    result = {"task": "quality", "source": "shards/[x]", **values, **facts, "warnings": ["few [images]"]}
    words = shown(capsys, result, False)
    assert "quality of shards/[x]" in words
    for name, (title, better, _) in MEASURES.items():
        assert " ".join(f"{title} {values[name]:.4g} {better}".split()) in words
    assert "generated: 1,000, held-out: 355, data: digits, encoder: runs/real warning: few [images]" in words


def test_a_measure_that_was_not_taken_is_left_out(capsys):
    words = shown(capsys, {"task": "alignment", "run": "r", "alignment": 0.5, "recall": None, "warnings": []}, False)
    assert "alignment 0.5 ↓" in words and "recall" not in words
