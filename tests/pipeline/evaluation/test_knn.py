import math

import pytest
import torch

from synthcl.pipeline.evaluation import knn
from synthcl.pipeline.evaluation.knn import knn_scores


def naive_scores(train, labels, test, k, temperature, num_classes):
    """Wu et al. 2018, section 3.4, one sample at a time in float64."""
    rows = []
    for x in test.double():
        cosines = [float(x @ y / (x.norm() * y.norm())) for y in train.double()]
        votes = [0.0] * num_classes
        for similarity, label in sorted(zip(cosines, labels.tolist(), strict=True), reverse=True)[:k]:
            votes[label] += math.exp(similarity / temperature)
        rows.append([vote / sum(votes) for vote in votes])
    return torch.tensor(rows)


@pytest.mark.parametrize(("k", "temperature"), [(20, 0.07), (200, 0.1), (1, 1.0), (300, 0.05)])
def test_it_agrees_with_a_naive_one(k, temperature, monkeypatch):
    random = torch.Generator().manual_seed(k)
    train, test = torch.randn(300, 16, generator=random), torch.randn(40, 16, generator=random)
    labels = torch.randint(0, 5, (300,), generator=random)
    expected = naive_scores(train, labels, test, k, temperature, 6)
    whole = knn_scores(train, labels, test, k=k, temperature=temperature, num_classes=6)
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(whole.argmax(1), expected.argmax(1))
    monkeypatch.setattr(knn, "CHUNK_VALUES", 7 * 300)
    torch.testing.assert_close(knn_scores(train, labels, test, k=k, temperature=temperature, num_classes=6), whole)


def test_small_temperatures_do_not_overflow():
    train, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    scores = knn_scores(train, labels, torch.tensor([[1.0, 0.1]]), k=2, temperature=1e-3, num_classes=2)
    assert scores.tolist() == [[1.0, 0.0]]
