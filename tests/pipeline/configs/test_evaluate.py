"""Options of the evaluations: presets and what beats them, options of one probe, and sets to score on."""

import pytest

from synthcl.pipeline.configs.evaluate import (
    CORRUPTIONS,
    AlignmentConfig,
    FinetuneConfig,
    KnnConfig,
    LinearConfig,
    QualityConfig,
    RobustnessConfig,
    TransferConfig,
)
from synthcl.pipeline.errors import UsageError


@pytest.mark.parametrize(
    ("options", "k", "temperature"),
    [
        ({}, 200, 0.1),
        ({"preset": "dino"}, 20, 0.07),
        ({"preset": "dino", "k": 5}, 5, 0.07),
        ({"temperature": 0.5}, 200, 0.5),
        ({"k": 1, "temperature": 1.0}, 1, 1.0),
    ],
)
def test_neighbours_are_a_presets_but_for_what_is_given(options, k, temperature):
    config = KnnConfig(data="digits", **options)
    assert (config.neighbours, config.vote_temperature) == (k, temperature)


def test_a_preset_of_which_nothing_is_left_is_refused():
    with pytest.raises(UsageError, match="--preset says nothing beside --k and --temperature, which say both"):
        KnnConfig(data="digits", preset="dino", k=1, temperature=1.0).check_given(["preset", "k", "temperature"])
    KnnConfig(data="digits", preset="dino", k=1).check_given(["preset", "k"])


SGD = ("epochs", "learning_rate", "weight_decay", "views")
VALUES = {"epochs": 3, "learning_rate": 0.1, "weight_decay": 0.1, "views": "digits", "l2": 0.1}


@pytest.mark.parametrize("name", SGD)
def test_options_of_sgd_are_refused_beside_the_exact_probe(name):
    assert getattr(LinearConfig(data="digits", probe="sgd", **{name: VALUES[name]}), name) == VALUES[name]
    message = f"--{name.replace('_', '-')} is for --probe sgd; it cannot be given with --probe lbfgs"
    with pytest.raises(UsageError, match=message):
        LinearConfig(data="digits", **{name: VALUES[name]})


def test_the_penalty_is_the_exact_probes():
    with pytest.raises(UsageError, match="--l2 is for --probe lbfgs; it cannot be given with --probe sgd"):
        LinearConfig(data="digits", probe="sgd", l2=0.1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (0.02, 0.2, 1e-4, False, False, 30)),
        ({"weight_decay": 0, "epochs": 5}, (0.02, 0.2, 0.0, False, False, 5)),
        ({"preset": "simclr"}, (0.05, 0.05, 0.0, True, True, 30)),
        ({"preset": "simclr", "label_fraction": 0.1}, (0.05, 0.05, 0.0, True, True, 30)),
        ({"preset": "simclr", "label_fraction": 0.01}, (0.05, 0.05, 0.0, True, True, 60)),
        ({"preset": "simclr", "label_fraction": 0.01, "epochs": 7}, (0.05, 0.05, 0.0, True, True, 7)),
        ({"preset": "simclr", "learning_rate": 0.1}, (0.1, 0.05, 0.0, True, True, 30)),
    ],
)
def test_fine_tuning_is_a_presets_but_for_what_is_given(options, expected):
    assert FinetuneConfig(data="d", **options).settings() == expected


@pytest.mark.parametrize(("text", "numbers"), [("5", [5]), ("10, 1,5,1", [1, 5, 10])])
def test_shots_are_told_with_commas(text, numbers):
    assert KnnConfig(data="d", shots=text).shot_numbers() == numbers
    assert KnnConfig(data="d").shot_numbers() == []


def test_corruptions_are_all_or_those_named_in_the_order_of_the_table():
    assert RobustnessConfig(data="d").corruption_names() == list(CORRUPTIONS)
    config = RobustnessConfig(data="d", corruptions="jpeg, fog,jpeg", severities="5,2")
    assert config.corruption_names() == ["fog", "jpeg"] and config.severity_numbers() == [2, 5]


WRONG = {
    "no such corruption": (
        RobustnessConfig,
        {"data": "d", "corruptions": "rain"},
        "no corruption 'rain'; choose of",
    ),
    "no such severity": (
        RobustnessConfig,
        {"data": "d", "severities": "6"},
        "takes whole numbers from 1 to 5",
    ),
    "no corruption": (RobustnessConfig, {"data": "d", "corruptions": ""}, "there is no corruption ''"),
    "no shots": (KnnConfig, {"data": "d", "shots": "0,5"}, "--shots takes whole numbers from 1 on .* not '0,5'"),
    "shots in words": (LinearConfig, {"data": "d", "shots": "one"}, "such as 1,5, not 'one'"),
    "shots and a fraction": (
        LinearConfig,
        {"data": "d", "shots": "1", "label_fraction": 0.5},
        "--shots and --label-fraction both say",
    ),
    "shots of sgd": (LinearConfig, {"data": "d", "shots": "1", "probe": "sgd"}, "--shots is for --probe lbfgs"),
    "one draw": (KnnConfig, {"data": "d", "shots": "1", "draws": 1}, "--draws must be at least 2, not 1"),
    "draws of nothing": (KnnConfig, {"data": "d", "draws": 3}, "--draws means nothing without --shots K,K,..."),
    "a suite and sets": (TransferConfig, {"data": ["d"], "suite": "small"}, "--suite small names its sets itself"),
    "no such suite": (TransferConfig, {"suite": "smal"}, r"--suite 'smal' is not known \(did you mean 'small'\?\)"),
    "nothing to transfer to": (TransferConfig, {}, "Missing option '--data'"),
    "a test set too few": (
        TransferConfig,
        {"data": ["a", "b"], "test_data": ["c"]},
        "--test-data is given 1 times and --data 2 times; give one for each",
    ),
    "no labels": (LinearConfig, {"data": "d", "label_fraction": 0}, "--label-fraction must be above 0, not 0"),
    "more than all labels": (FinetuneConfig, {"data": "d", "label_fraction": 2}, "--label-fraction must be at most 1"),
    "no neighbours": (KnnConfig, {"data": "d", "k": 0}, "--k must be at least 1, not 0"),
    "a table that is not written": (
        QualityConfig,
        {"data": "d", "overwrite": True},
        "--overwrite means nothing without --scores NAME",
    ),
    "one image": (AlignmentConfig, {"data": "d", "num_images": 1}, "--num-images must be at least 2, not 1"),
    "views that there are not": (AlignmentConfig, {"data": "d", "views": "x"}, "--views 'x' is not known"),
}


@pytest.mark.parametrize(("config", "options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(config, options, message):
    with pytest.raises(UsageError, match=message):
        config(**options)
