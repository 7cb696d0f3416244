"""Queues of earlier embeddings: MoCo's negatives and NNCLR's support set. A queue and its position are buffers.

Shapes: K rows of a queue, N embeddings in this process, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .collectives import gather
from .precision import unit_length


def random_queue(size: int, dim: int) -> Tensor:
    """(size, dim) random rows of unit length, drawn from torch's global generator: what a queue starts with."""
    return unit_length(torch.randn(size, dim))


def enqueue(queue: Tensor, position: Tensor, embeddings: Tensor, groups: Tensor) -> None:
    """Overwrite the oldest rows by the embeddings of all processes, in place.

    In order of group, whichever process an embedding came from: the queue depends neither on the rank nor on the number
    of processes. Of more embeddings than rows the last ones stay.

    Args:
        queue: (K, D).
        position: () int64, the row that the next embedding takes; moved on.
        embeddings: (N, D), N the same in every process.
        groups: (N,) integers, unique over all processes.
    """
    embeddings, groups = gather(embeddings), gather(groups)
    embeddings = embeddings[groups.argsort(stable=True)][-len(queue) :]
    rows = (position + torch.arange(len(embeddings), device=embeddings.device)) % len(queue)
    queue[rows] = embeddings.to(queue.dtype)
    position.copy_((position + len(embeddings)) % len(queue))
