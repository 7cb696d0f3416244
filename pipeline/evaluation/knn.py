"""Weighted k-nearest-neighbour classification (Wu et al. 2018, arXiv 1805.01978, section 3.4).

Shapes: N training samples, M test samples, F features, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_VALUES = 2**26
"""Similarities computed at a time: 256 MiB in float32. Ours."""


def knn_scores(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    *,
    k: int,
    temperature: float,
    num_classes: int,
) -> Tensor:
    """Each class's part of the neighbours' votes, (M, C), in [0, 1].

    A neighbour with cosine similarity s votes for its class with weight exp(s / temperature).

    Args:
        train_features: (N, F); zero vectors have similarity 0 to everything.
        train_labels: (N,) int64 in [0, C).
        test_features: (M, F).
        k: neighbours, at most N.
        temperature: above 0.
        num_classes: C.
    """
    bank = F.normalize(train_features, dim=1)
    scores = []
    for chunk in test_features.split(max(1, CHUNK_VALUES // len(bank))):
        similarity, neighbours = (F.normalize(chunk, dim=1) @ bank.T).topk(k, dim=1)
        # Less the largest: a common factor, which keeps small temperatures from overflowing.
        weights = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = weights.new_zeros(len(chunk), num_classes).scatter_add_(1, train_labels[neighbours], weights)
        scores.append(votes / weights.sum(dim=1, keepdim=True))
    return torch.cat(scores)
