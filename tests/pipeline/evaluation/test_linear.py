import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from synthcl.pipeline.evaluation.linear import (
    FEW_SAMPLES,
    L2_GRID,
    NUM_FOLDS,
    SAME_LOSS,
    choose_l2,
    fit_logistic,
)
from synthcl.pipeline.evaluation.subsets import folds
from synthcl.pipeline.randomness import Key

KEY = Key.from_seed(0)


def made_features(num_samples, num_features=24, num_classes=4, seed=0):
    """Correlated, of very different scales, not centred, some without variance; classes that overlap."""
    random = np.random.default_rng(seed)
    fixed = np.random.default_rng(100)
    means, mixing = fixed.normal(size=(num_classes, 8)), fixed.normal(size=(8, num_features))
    labels = random.integers(0, num_classes, num_samples)
    hidden = means[labels] + random.normal(size=(num_samples, 8))
    features = np.maximum(hidden @ mixing + random.normal(size=(num_samples, num_features)), 0)
    features *= np.logspace(-2, 2, num_features)
    features[:, 3] = 7
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


@pytest.mark.parametrize("l2", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("num_samples", [1000, 20])  # classes that overlap, and that can be separated
def test_it_is_the_optimum_that_scikit_learn_finds(l2, num_samples):
    features, labels = made_features(num_samples)
    test, test_labels = made_features(4000, seed=1)
    ours = fit_logistic(features, labels, l2=l2, num_classes=4)
    mean, std = features.double().mean(0), features.double().std(0, correction=0)
    std[std < 1e-6] = torch.inf
    reference = LogisticRegression(C=1 / (l2 * num_samples), tol=1e-8, max_iter=20000)
    reference.fit(((features.double() - mean) / std).numpy(), labels.numpy())
    scaled = ((test.double() - mean) / std).numpy()
    probabilities = torch.from_numpy(reference.predict_proba(scaled))
    torch.testing.assert_close(ours(test).softmax(1).double(), probabilities, rtol=0, atol=2e-2)
    accuracy = (ours(test).argmax(1) == test_labels).double().mean().item()
    assert abs(accuracy - reference.score(scaled, test_labels.numpy())) <= 1e-3


def test_scale_and_offset_of_features_do_not_matter():
    features, labels = made_features(500)
    plain = fit_logistic(features, labels, l2=1e-2, num_classes=4)(features)
    moved = fit_logistic(20 * features + 3, labels, l2=1e-2, num_classes=4)(20 * features + 3)
    torch.testing.assert_close(moved, plain, rtol=0, atol=5e-3)


def test_a_class_without_samples_gets_the_lowest_score():
    features, labels = made_features(200)
    scores = fit_logistic(features, labels, l2=1e-2, num_classes=5)(features)
    assert scores.shape == (200, 5) and (scores.argmin(1) == 4).float().mean() > 0.9


def test_the_penalty_fits_the_data():
    features, labels = made_features(400)
    random = torch.Generator().manual_seed(0)
    noise = torch.cat((features, 100 * torch.randn(400, 400, generator=random)), dim=1)
    separable = torch.eye(4)[labels] + 0.01 * torch.randn(400, 4, generator=random)
    clean = choose_l2(*made_features(4000), num_classes=4, key=KEY)
    assert choose_l2(noise, labels, num_classes=4, key=KEY) > clean
    l2 = choose_l2(separable, labels, num_classes=4, key=KEY)
    assert (fit_logistic(separable, labels, l2=l2, num_classes=4)(separable).argmax(dim=1) == labels).all()


@pytest.mark.parametrize("num_samples", [300, 6000])  # every fifth is held out in turn, and one of them
def test_the_penalty_is_the_one_that_scikit_learn_chooses(num_samples):
    features, labels = made_features(num_samples)
    fold = folds(labels, NUM_FOLDS, KEY)
    held_out = [fold == number for number in range(NUM_FOLDS if num_samples <= FEW_SAMPLES else 1)]
    losses = []
    for l2 in L2_GRID:
        total, count = 0.0, 0
        for part in held_out:
            scale = StandardScaler().fit(features[~part])
            model = LogisticRegression(C=1 / (l2 * int((~part).sum())), max_iter=10_000, tol=1e-6)
            model.fit(scale.transform(features[~part]), labels[~part])
            probabilities = model.predict_proba(scale.transform(features[part]))
            total += log_loss(labels[part], probabilities, normalize=False, labels=range(4))
            count += int(part.sum())
        losses.append(total / count)
    expected = next(l2 for l2, loss in zip(L2_GRID, losses, strict=True) if loss <= min(losses) + SAME_LOSS)
    assert L2_GRID[0] > expected > L2_GRID[-1]
    assert choose_l2(features, labels, num_classes=4, key=KEY) == expected


@pytest.mark.parametrize("num_samples", [300, 6000])  # every fifth is held out in turn, and one of them
def test_a_class_of_one_sample_has_no_say_in_the_penalty(num_samples):
    """The classes of many samples choose as they do alone: a sample whose class was not fitted costs what it will."""
    features, labels = made_features(num_samples)
    lone = torch.randn(20, 24, generator=torch.Generator().manual_seed(0)) * features.std(0) + features.mean(0)
    both = torch.cat((features, lone)), torch.cat((labels, torch.arange(4, 24)))
    assert choose_l2(*both, num_classes=24, key=KEY) == choose_l2(features, labels, num_classes=4, key=KEY)


def test_where_nothing_can_be_held_out_the_penalty_is_1():
    features, _ = made_features(4)
    for lone in (torch.arange(4), torch.tensor([0])):
        assert choose_l2(features[: len(lone)], lone, num_classes=4, key=KEY) == 1


def test_the_choice_is_made_with_the_key_alone():
    features, labels = made_features(300)
    torch.manual_seed(1)
    first = choose_l2(features, labels, num_classes=4, key=KEY)
    torch.manual_seed(2)
    assert choose_l2(features, labels, num_classes=4, key=KEY) == first


def test_two_samples_of_two_classes_suffice():
    features, labels = torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 1])
    l2 = choose_l2(features, labels, num_classes=2, key=KEY)
    assert fit_logistic(features, labels, l2=l2, num_classes=2)(features).argmax(1).tolist() == [0, 1]
