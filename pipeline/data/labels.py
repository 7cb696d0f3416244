"""Labels as sources write them, to int64 and names; and the samples of each class, shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..randomness import Key


def encode_labels(
    values: Sequence[int | str], vocabulary: Callable[[], Iterable[str]], *, numbers: bool = True
) -> tuple[np.ndarray, list[str] | None]:
    """Whole numbers stay as they are; words are numbered in sorted order. Text is numbers if all of it, in all splits,
    reads as such.

    Args:
        values: one a sample; numbers, or text.
        vocabulary: the words of all splits of the source, asked for only if there is text, so that a class has the same
            number in each split.
        numbers: whether text that reads as a number is one; False takes all values for words (folders called 0, 10, 2).

    Returns:
        (N,) int64 labels and the class names, None where labels were numbers.

    Raises:
        DataError: a number that no int64 holds.
    """
    words = {value for value in values if isinstance(value, str)}
    if words:
        words |= {str(word) for word in vocabulary()}
    if numbers and all(map(_is_number, words)):
        try:
            return np.array([int(value) for value in values], dtype=np.int64), None
        except OverflowError as error:
            raise DataError("a label is a number that 64 bits do not hold") from error
    names = sorted(words | {str(value) for value in values})
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[str(value)] for value in values], dtype=np.int64), names


def _is_number(word: str) -> bool:
    try:
        int(word)
    except ValueError:
        return False
    return True


def rank_within_class(labels: Tensor, key: Key) -> tuple[Tensor, Tensor, Tensor]:
    """Samples shuffled within their classes: what class-balanced choices are made of.

    Args:
        labels: (N,) int64, 0 or more.
        key: which shuffling.

    Returns:
        (N,) int64 each, in one order: the samples sorted by class and shuffled in it, the rank of each in its class
        from 0, and the size of its class.
    """
    drawn = key.at(torch.arange(len(labels))).bits("rank", 1)[:, 0]
    order = drawn.argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]
    counts = labels.bincount()
    starts = (counts.cumsum(0) - counts)[labels[order]]
    return order, torch.arange(len(labels)) - starts, counts[labels[order]]
