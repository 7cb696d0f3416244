"""Memorisation: copies are found, and the measures agree with naive counts."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.evaluation import memorisation
from synthcl.pipeline.evaluation.memorisation import measure_memorisation


def test_copies_are_found(points):
    train, held_out = points(200), points(100, seed=1)
    honest = measure_memorisation(points(100, seed=2), train, held_out).summary()
    copies = measure_memorisation(train[:100] + points(100, seed=3, scale=1e-3), train, held_out).summary()
    assert honest["authenticity"] > 0.3 and 0.35 < honest["nearer_to_train"] < 0.65
    assert 0.35 < honest["nearer_than_held_out"] < 0.65
    assert copies["authenticity"] == 0 and copies["nearer_to_train"] == copies["nearer_than_held_out"] == 1
    assert copies["train_distance"] < 0.01 < copies["held_out_distance"]


def test_ranks_agree_with_a_naive_count(points):
    first, second = (points(n, 1, seed=n)[:, 0].mul(3).round() for n in (40, 30))  # many ties
    pairs = [(a < b) + 0.5 * (a == b) for a in first.tolist() for b in second.tolist()]
    assert memorisation._rank_below(first, second) == pytest.approx(np.mean(pairs))


def test_ranks_of_many_are_counted_exactly(points):
    first, second = (points(n, 1, seed=n)[:, 0] for n in (6000, 5000))  # more pairs than a float32 can count
    ordered = np.sort(first.numpy())
    below, ties_too = (np.searchsorted(ordered, second.numpy(), side=side).sum() for side in ("left", "right"))
    expected = (below + ties_too) / 2 / (6000 * 5000)
    assert memorisation._rank_below(first, second) == pytest.approx(expected, rel=1e-12)


def test_authenticity_agrees_with_a_naive_one(points, block_values):
    generated, train = points(60, seed=1).numpy(), points(80).numpy()
    authentic = []
    for sample in generated:
        gaps = np.linalg.norm(train - sample, axis=1)
        closest = int(gaps.argmin())
        others = np.delete(np.linalg.norm(train - train[closest], axis=1), closest)
        authentic.append(gaps[closest] >= others.min())
    found = measure_memorisation(torch.from_numpy(generated), torch.from_numpy(train), None)
    assert found.authentic.tolist() == authentic
    assert found.summary()["nearer_to_train"] is None


def test_more_training_images_do_not_look_like_copying(points):
    shares = [measure_memorisation(points(300, seed=2), points(n), points(100, seed=1)) for n in (100, 2000)]
    assert abs(shares[0].summary()["nearer_to_train"] - shares[1].summary()["nearer_to_train"]) < 0.1
