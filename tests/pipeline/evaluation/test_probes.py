"""The evaluations as notebooks call them, on `digits`."""

import json

import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation import evaluate_finetune, evaluate_knn, evaluate_linear
from synthcl.pipeline.evaluation.linear import L2_GRID

STATED = {
    "task", "top1", "top5", "top1_interval", "mean_per_class", "per_class", "num_train", "num_test", "run", "seconds",
    "data",
    "test_data", "label_fraction", "seed", "versions", "scored_on_training_split", "encoder_hash", "backbone",
}  # fmt: skip


def test_linear_probe(run):
    result = evaluate_linear(run, "digits", label_fraction=0.3)
    assert set(result) >= STATED and result["task"] == "linear" and result["l2"] in L2_GRID
    assert result["data"] == "digits:train" and result["test_data"] == "digits:test"
    assert 0.7 < result["top1"] <= result["top5"] <= 1  # even an untrained encoder tells digits apart
    kept = json.loads((run / "evaluations").glob("linear-*.json").__next__().read_text())
    assert kept["top1"] == result["top1"] and result["recorded"] == str(next((run / "evaluations").iterdir()))
    again = evaluate_linear(str(run), "digits", label_fraction=0.3)
    assert {**again, "seconds": 0, "run": 0} == {**result, "seconds": 0, "run": 0}
    assert len(list((run / "evaluations").iterdir())) == 1
    evaluate_linear(run, "digits", label_fraction=0.3, l2=1.0)
    assert len(list((run / "evaluations").iterdir())) == 2


def test_knn_presets_and_flags(run):
    settings = [{"preset": "moco"}, {"preset": "dino"}, {"k": 5}, {"k": 5000, "temperature": 0.5}]
    results = [evaluate_knn(run, "digits", **setting) for setting in settings]
    assert [(r["k"], r["temperature"]) for r in results[:3]] == [(200, 0.1), (20, 0.07), (5, 0.1)]
    assert results[3]["k"] == results[3]["num_train"] and "instead of 5000" in results[3]["warnings"][0]
    assert all(0.5 < r["top1"] <= 1 for r in results[:3])


@pytest.mark.parametrize("evaluate", [evaluate_finetune, evaluate_linear])
def test_training_probes(run, evaluate):
    options = {"probe": "sgd", "learning_rate": 3.0} if evaluate is evaluate_linear else {}
    weights = (run / "encoder" / "model.safetensors").read_bytes()
    result = evaluate(run, "digits", epochs=6, batch_size=64, label_fraction=0.5, **options)
    assert set(result) >= STATED and result["top1"] > 0.5
    assert (run / "encoder" / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label_fraction": 0.0}, UsageError, "--label-fraction must be above 0"),
        ({"label_fraction": 1.5}, UsageError, "--label-fraction must be at most 1"),
        ({"probe": "svm"}, UsageError, "lbfgs, sgd"),
        ({"test_data": "digits:half"}, UsageError, "half"),
    ],
)
def test_wrong_options_are_named(run, options, error, message):
    with pytest.raises(error, match=message):
        evaluate_linear(run, "digits", **options)
    assert not (run / "evaluations").exists()


def test_no_run_no_result(tmp_path):
    with pytest.raises(DataError, match="there is no run"):
        evaluate_linear(tmp_path / "nothing", "digits")
    assert not (tmp_path / "nothing").exists()


def test_a_result_of_fine_tuning_states_what_its_preset_came_to(run):
    result = evaluate_finetune(
        run, "digits:train[:200,balanced]", test_data="digits:test[:50]", preset="simclr", label_fraction=0.5, epochs=1
    )
    assert {n: result[n] for n in ("learning_rate", "head_learning_rate", "weight_decay", "epochs", "preset")} == {
        "learning_rate": 0.05, "head_learning_rate": 0.05, "weight_decay": 0.0, "epochs": 1, "preset": "simclr",
    }  # fmt: skip
