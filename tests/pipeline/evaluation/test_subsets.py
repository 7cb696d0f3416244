import itertools

import pytest
import torch

from synthcl.pipeline.evaluation.subsets import folds, labeled_subset, shot_subset
from synthcl.pipeline.randomness import Key

KEY = Key.from_seed(3)
LABELS = torch.tensor([0] * 100 + [1] * 50 + [2] * 3)[torch.randperm(153, generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize(
    ("fraction", "counts"), [(1.0, [100, 50, 3]), (0.1, [10, 5, 1]), (0.07, [7, 4, 1]), (1e-4, [1, 1, 1])]
)
def test_each_class_gives_its_part(fraction, counts):
    subset = labeled_subset(LABELS, fraction, KEY)
    assert LABELS[subset].bincount().tolist() == counts
    assert torch.equal(subset, subset.unique())


def test_smaller_parts_lie_within_larger_ones_and_depend_on_the_key():
    parts = [set(labeled_subset(LABELS, fraction, KEY).tolist()) for fraction in (0.01, 0.1, 0.5, 1)]
    assert all(small < large for small, large in itertools.pairwise(parts))
    assert set(labeled_subset(LABELS, 0.1, Key.from_seed(4)).tolist()) != parts[1]
    assert set(labeled_subset(LABELS, 0.1, KEY).tolist()) == parts[1]


def test_folds_share_out_each_class_evenly():
    fold = folds(LABELS, 5, KEY)
    assert torch.stack([fold[LABELS == 0].bincount(), 2 * fold[LABELS == 1].bincount()]).unique().tolist() == [20]
    assert fold[LABELS == 2].unique().numel() == 3
    assert not torch.equal(fold, folds(LABELS, 5, Key.from_seed(4)))


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_shots_are_as_many_of_each_class(shots):
    subset = shot_subset(LABELS, shots, KEY)
    assert LABELS[subset].bincount().tolist() == [shots] * 3 and torch.equal(subset, subset.unique())


def test_fewer_shots_lie_within_more_and_depend_on_the_key():
    draws = [set(shot_subset(LABELS, shots, KEY).tolist()) for shots in (1, 2, 3)]
    assert draws[0] < draws[1] < draws[2]
    assert set(shot_subset(LABELS, 1, Key.from_seed(4)).tolist()) != draws[0]
