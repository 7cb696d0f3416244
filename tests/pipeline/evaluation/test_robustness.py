"""The linear probe on corrupted images."""

import json
from pathlib import Path

import pytest
import torch

from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation import evaluate_linear, evaluate_robustness, extract_features
from synthcl.pipeline.evaluation.corruptions import CorruptedStore
from synthcl.pipeline.evaluation.linear import fit_logistic
from synthcl.pipeline.randomness import Key

DATA = {"data": "digits:train[:200,balanced]", "test_data": "digits:test[:60]", "l2": 0.1}
CPU = torch.device("cpu")


def test_the_probe_is_fitted_to_clean_images_and_scored_on_corrupted_ones(run, encoder):
    result = evaluate_robustness(run, **DATA, corruptions="fog,gaussian-noise", severities="5,1", seed=2)
    asked = [(row["corruption"], row["severity"]) for row in result["corrupted"]]
    assert asked == [(name, severity) for name in ("gaussian-noise", "fog") for severity in (1, 5)]
    clean = evaluate_linear(run, **DATA, seed=2)
    assert result["top1"] == clean["top1"] and result["l2"] == 0.1 and result["task"] == "robustness"
    assert result["corrupted_top1"] == pytest.approx(sum(row["top1"] for row in result["corrupted"]) / 4)
    assert json.loads(Path(result["recorded"]).read_text())["corrupted"] == result["corrupted"]

    train, test = open_images(DATA["data"], image_size=8), open_images(DATA["test_data"], image_size=8)
    features = extract_features(encoder, train, device=CPU)
    classifier = fit_logistic(features, torch.from_numpy(train.labels), l2=0.1, num_classes=10)
    key = Key.from_seed(2).child(
        "evaluation",
        "robustness",
    )
    foggy = CorruptedStore(test, "fog", 5, key.child("fog"), CPU)
    guesses = classifier(extract_features(encoder, foggy, device=CPU)).argmax(1).numpy()
    assert result["corrupted"][-1]["top1"] == pytest.approx((guesses == test.labels).mean())


def test_it_is_the_same_again_and_another_by_another_seed(run):
    options = {**DATA, "corruptions": "shot-noise,impulse-noise", "severities": "5"}
    first, again, other = (evaluate_robustness(run, **options, seed=seed)["corrupted"] for seed in (0, 0, 1))
    assert first == again != other


def test_all_are_scored_if_none_is_named(run):
    result = evaluate_robustness(run, **{**DATA, "test_data": "digits:test[:20]"})
    assert len(result["corrupted"]) == 55 and 0 < result["corrupted_top1"] < 1


def test_a_corruption_that_there_is_not_is_refused(run):
    with pytest.raises(UsageError, match=r"there is no corruption 'fogg' \(did you mean 'fog'\?\); choose of gaussian"):
        evaluate_robustness(run, **DATA, corruptions="jpeg,fogg")
    assert not (run / "evaluations").exists()
