"""Cosine similarity of predictions and targets, which the losses of the methods without negatives are made of."""

from __future__ import annotations

from torch import Tensor

from .precision import full_precision, unit_length


def cosine_similarity(predictions: Tensor, targets: Tensor) -> Tensor:
    """(N,) the cosine of the angles between the rows of two tensors (N, D), in at least float32."""
    with full_precision(predictions):
        return (unit_length(predictions) * unit_length(targets)).sum(dim=1)
