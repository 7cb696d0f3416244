"""Labels as sources write them, to int64 and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..errors import DataError


def encode_labels(
    values: Sequence[int | str], vocabulary: Callable[[], Iterable[str]], *, numbers: bool = True
) -> tuple[np.ndarray, list[str] | None]:
    """Whole numbers stay as they are; words are numbered in sorted order.

    Args:
        values: one a sample; numbers, or their text.
        vocabulary: the words of all splits of the source, asked for only if there are words, so that a class has the
            same number in each split.
        numbers: whether text that reads as a number is one; False takes all values for words (folders called 0, 10, 2).

    Returns:
        (N,) int64 labels and the class names, None where labels were numbers.

    Raises:
        DataError: a number that no int64 holds.
    """
    if numbers:
        try:
            return np.array([int(value) for value in values], dtype=np.int64), None
        except ValueError:
            pass  # words
        except OverflowError as error:
            raise DataError("a label is a number that 64 bits do not hold") from error
    names = sorted({str(word) for word in vocabulary()} | {str(value) for value in values})
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[str(value)] for value in values], dtype=np.int64), names
