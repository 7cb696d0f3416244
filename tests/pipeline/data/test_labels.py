"""Labels to numbers, and samples ranked within their classes."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.data.labels import encode_labels, rank_within_class
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.randomness import Key


def test_numbers_stay_and_words_are_numbered_in_sorted_order():
    labels, names = encode_labels([True, 4], lambda: pytest.fail("asked for words"))
    assert labels.tolist() == [1, 4] and names is None
    labels, names = encode_labels(["7", "-1"], lambda: ["3"])
    assert labels.tolist() == [7, -1] and labels.dtype == np.int64 and names is None
    labels, names = encode_labels(["eel", "cat"], lambda: ["dog"])
    assert labels.tolist() == [2, 0] and names == ["cat", "dog", "eel"]
    labels, names = encode_labels(["10", "2"], lambda: (), numbers=False)
    assert labels.tolist() == [0, 1] and names == ["10", "2"]
    for large in (str(2**63), 2**63):
        with pytest.raises(DataError, match="64 bits"):
            encode_labels([large], lambda: ())


def test_a_word_in_another_split_makes_words_of_numbers():
    """Else the same text would be one class in one split and another in the other."""
    splits = ["0", "10", "2", "ant"], ["2", "10"]
    found = [encode_labels(words, lambda: {word for split in splits for word in split}) for words in splits]
    assert [names for _, names in found] == [["0", "10", "2", "ant"]] * 2
    assert [labels.tolist() for labels, _ in found] == [[0, 1, 2, 3], [2, 1]]


def test_ranks_within_classes_are_a_shuffling_of_each():
    labels = torch.tensor([2, 0, 2, 2, 0, 5])
    order, rank, size = rank_within_class(labels, Key.from_seed(0))
    assert labels[order].tolist() == [0, 0, 2, 2, 2, 5]
    assert rank.tolist() == [0, 1, 0, 1, 2, 0] and size.tolist() == [2, 2, 3, 3, 3, 1]
    assert sorted(order.tolist()) == list(range(6))
    orders = {tuple(rank_within_class(labels, Key.from_seed(seed))[0].tolist()) for seed in range(100)}
    assert len(orders) == 2 * 6  # all orders of two and of three
