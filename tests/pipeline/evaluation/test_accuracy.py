import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from synthcl.pipeline.evaluation.accuracy import bootstrap_interval, mean_interval, summarise, top_k_accuracy


@pytest.fixture
def scores():
    return torch.randn(200, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    return torch.arange(200) % 7  # class 7 has no samples


@pytest.mark.parametrize("k", [1, 5, 8, 20])
def test_top_k(scores, labels, k):
    expected = top_k_accuracy_score(labels, scores, k=min(k, 7), labels=range(8)) if k < 8 else 1.0
    assert top_k_accuracy(scores, labels, k) == pytest.approx(expected)


def test_of_equal_scores_the_first_class_wins_as_in_argmax():
    equal = torch.zeros(1, 4)
    ranks = [sum(top_k_accuracy(equal, torch.tensor([label]), k) == 0 for k in range(1, 5)) for label in range(4)]
    assert ranks == [0, 1, 2, 3] and equal.argmax(1).item() == 0


def test_summary_by_class(scores, labels):
    summary = summarise(scores, labels)
    correct = scores.argmax(1) == labels
    assert summary["top1"] == pytest.approx(correct.double().mean().item())
    assert summary["per_class"][7] is None
    assert summary["per_class"][2] == pytest.approx(correct[labels == 2].double().mean().item())
    low, high = summary["top1_interval"]
    assert low < summary["top1"] < high


@pytest.mark.parametrize(("correct", "total"), [(80, 100), (37, 400), (999, 1000)])
def test_interval_is_that_of_drawn_resamples(correct, total):
    values = np.arange(total) < correct
    draws = np.random.default_rng(0).choice(values, (20_000, total)).mean(1)
    np.quantile(draws, [0.025, 0.975]).tolist()
    assert bootstrap_interval(correct, total) == pytest.approx(
        np.quantile(draws, [0.025, 0.975]).tolist(), abs=1.1 / total
    )


@pytest.mark.parametrize("correct", [0, 10])
def test_interval_at_the_ends(correct):
    assert bootstrap_interval(correct, 10) == [correct / 10] * 2


@pytest.mark.parametrize("sizes", [[5, 60, 9], [1, 1, 30], [20, 0, 4]])
def test_the_mean_per_class_is_that_of_loops(sizes):
    labels = torch.tensor([c for c, size in enumerate(sizes) for _ in range(size)])
    scores = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(1))
    guesses, parts = scores.argmax(1).tolist(), []
    for c, size in enumerate(sizes):
        if size:
            parts.append(sum(g == c for g, own in zip(guesses, labels.tolist(), strict=True) if own == c) / size)
    assert summarise(scores, labels)["mean_per_class"] == pytest.approx(sum(parts) / len(parts))


def test_the_mean_per_class_is_scikit_learns_balanced_accuracy(scores, labels):
    expected = balanced_accuracy_score(labels[labels < 5], scores[labels < 5, :5].argmax(1))
    assert summarise(scores[labels < 5, :5], labels[labels < 5])["mean_per_class"] == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.5, 0.7], [0.1, 0.2, 0.4, 0.25, 0.3]])
def test_the_interval_of_a_mean_is_students(values):
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx([low, high])
    assert mean_interval([0.5, 0.5, 0.5]) == [0.5, 0.5]
