"""Classifiers of few labelled images: means over draws, which are those of each draw made by hand."""

import pytest
import torch

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation import evaluate_knn, evaluate_linear
from synthcl.pipeline.evaluation.accuracy import mean_interval
from synthcl.pipeline.evaluation.low_shot import check_shots, low_shot_scores
from synthcl.pipeline.evaluation.subsets import shot_subset
from synthcl.pipeline.evaluation.task import Task
from synthcl.pipeline.randomness import Key


@pytest.fixture
def task(encoder, make_store, tmp_path):
    train, test = make_store(), make_store(seed=1, num_images=30)
    labels = [torch.from_numpy(store.labels) for store in (train, test)]
    return Task(tmp_path, encoder, train, test, *labels, torch.arange(60), ["a", "b", "c"])


def nearest(features, labels, others, key):
    """Scores of the nearest class mean."""
    means = torch.stack([features[labels == c].mean(0) for c in range(3)])
    return -torch.cdist(others, means)


def test_the_mean_over_draws_is_that_of_a_loop(task):
    train, test = (torch.randn(n, 4, generator=torch.Generator().manual_seed(n)) for n in (60, 30))
    rows = low_shot_scores(task, train, test, nearest, [1, 4], draws=3, seed=7)
    assert [(row["shots"], row["draws"]) for row in rows] == [(1, 3), (4, 3)]
    for row in rows:
        found = []
        for draw in range(3):
            key = Key.from_seed(7).child("evaluation", "shots").child(draw)
            chosen = shot_subset(task.train_labels, row["shots"], key)
            guesses = nearest(train[chosen], task.train_labels[chosen], test, key).argmax(1)
            found.append((guesses == task.test_labels).double().mean().item())
        assert row["top1_draws"] == found and row["top1"] == pytest.approx(sum(found) / 3)
        assert row["top1_interval"] == mean_interval(found)
        assert row["mean_per_class"] == pytest.approx(row["top1"])  # classes of one size
    assert rows == low_shot_scores(task, train, test, nearest, [1, 4], draws=3, seed=7)
    assert rows != low_shot_scores(task, train, test, nearest, [1, 4], draws=3, seed=8)


def test_draws_of_all_the_images_have_no_interval(task):
    """Of one class more, something is left to be drawn."""
    train, test = torch.randn(60, 4), torch.randn(30, 4)
    assert low_shot_scores(task, train, test, nearest, [20], draws=2, seed=0)[0]["top1_interval"] is None
    task.train_labels = torch.tensor([0] * 19 + [1] * 19 + [2] * 22)
    (row,) = low_shot_scores(task, train, test, nearest, [19], draws=2, seed=0)
    assert row["top1_interval"] == mean_interval(row["top1_draws"])


def test_more_than_the_smallest_class_has_is_refused(task):
    task.train_labels = torch.tensor([0] * 30 + [1] * 7 + [2] * 23)
    check_shots(task, [1, 7])
    check_shots(task, [])
    with pytest.raises(UsageError, match=r"--shots 8 asks .* made has 7 of class b; give --shots 7 or less"):
        check_shots(task, [1, 8])


@pytest.mark.parametrize(("evaluate", "options"), [(evaluate_linear, {"l2": 0.1}), (evaluate_knn, {})])
def test_a_probe_tells_of_few_labels_beside_all(run, evaluate, options):
    data = {"data": "digits:train[:300,balanced]", "test_data": "digits:test[:100]", **options}
    plain, result = (evaluate(run, **data, **more) for more in ({}, {"shots": "10,1", "draws": 2}))
    assert "low_shot" not in plain and result["top1"] == plain["top1"]
    one, ten = result["low_shot"]
    assert (one["shots"], ten["shots"]) == (1, 10) and 0.1 < one["top1"] < ten["top1"] < result["top1"] + 0.1
    assert result["shots"] == "10,1" and len(ten["top1_draws"]) == 2
    assert ten["top1_interval"][0] <= ten["top1"] <= ten["top1_interval"][1]


def test_too_many_shots_are_refused_before_anything_is_computed(run):
    with pytest.raises(UsageError, match="--shots 100 asks for more"):
        evaluate_linear(run, "digits:train[:300,balanced]", shots="100")
    assert not (run / "cache").exists() and not (run / "evaluations").exists()
