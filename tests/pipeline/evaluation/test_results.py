"""What an evaluation says, and where it is kept."""

import json
import logging

import pytest

from synthcl.pipeline.configs.evaluate import LinearConfig
from synthcl.pipeline.evaluation.results import asked_of, hash_of, options_of, record_result

RESULT = {"task": "linear", "encoder_hash": "e1", "seed": 3, "label_fraction": 0.1, "top1": 0.5}
OPTIONS = ("seed", "label_fraction")


def kept(home):
    return {file.name: json.loads(file.read_text()) for file in (home / "evaluations").iterdir()}


def test_a_result_is_kept_with_versions_and_the_time(tmp_path):
    result = record_result(tmp_path, RESULT, OPTIONS)
    ((name, file),) = kept(tmp_path).items()
    assert result["recorded"] == str(tmp_path / "evaluations" / name) and name.startswith("linear-")
    assert file.items() >= RESULT.items() and file["versions"] == result["versions"]
    assert "torch" in file["versions"] and file["time"].endswith("Z") and "time" not in result


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"top1": 0.6}, 1),
        ({"seed": 4}, 2),
        ({"label_fraction": 1.0}, 2),
        ({"encoder_hash": "e2"}, 2),
        ({"task": "knn"}, 2),
    ],
)
def test_the_same_question_replaces_its_answer_and_another_has_a_file_of_its_own(tmp_path, change, files):
    record_result(tmp_path, RESULT, OPTIONS)
    record_result(tmp_path, {**RESULT, **change}, OPTIONS)
    assert len(kept(tmp_path)) == files
    assert {file["top1"] for file in kept(tmp_path).values()} == ({0.6} if "top1" in change else {0.5})


def test_a_folder_that_cannot_be_written_costs_the_record_alone(tmp_path, caplog):
    (tmp_path / "evaluations").write_text("a file in the way")
    with caplog.at_level(logging.WARNING):
        result = record_result(tmp_path, RESULT, OPTIONS)
    assert result["recorded"] is None and result["top1"] == 0.5
    assert "the result is not kept in" in caplog.text and str(tmp_path) in caplog.text


def test_the_options_stated_are_those_that_change_the_answer():
    config = LinearConfig(data="digits", data_root="/mnt/data", seed=7)
    stated = options_of(config)
    assert stated["seed"] == 7 and stated["data"] == "digits"
    assert {"data_root", "overwrite"}.isdisjoint(stated)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"seed": 0, "shots": None, "draws": 5}, ["seed"]),
        ({"seed": 0, "shots": "1,5", "draws": 5}, ["seed", "shots"]),
        ({"preset": "ours", "epochs": 30}, ["epochs"]),
        ({"preset": "simclr"}, ["preset"]),
        ({"preset": "moco"}, ["preset"]),
    ],
)
def test_options_of_later_leave_the_question_as_it_was(options, asked):
    assert asked_of(options) == asked


def test_a_hash_does_not_depend_on_the_order_of_names():
    assert hash_of({"a": 1, "b": [2, None]}) == hash_of({"b": [2, None], "a": 1}) != hash_of({"a": 1, "b": [2, 3]})
    assert len(hash_of({})) == 10
