"""The contrastive losses of a multi-viewed batch: every other view of a view's group is its positive.

Shapes: N views in this process, W processes, M candidates that a view is compared with, D dimensions, K keys in a
queue. All losses are per view, (N,), computed in at least float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .collectives import gather, gather_with_gradient, rank
from .precision import at_least_float32, full_precision


def contrastive_loss(logits: Tensor, positives: Tensor, candidates: Tensor) -> Tensor:
    """The supervised-contrastive loss (Khosla et al. 2020, arXiv 2004.11362, eq. 2, the sum outside the logarithm).

    `-1/|P(i)| sum_{p in P(i)} log( exp(l_ip) / sum_{a in A(i)} exp(l_ia) )`

    Args:
        logits: (N, M) similarities over temperature, l.
        positives: (N, M) bool, P. A view without any gives NaN: there is nothing that it could learn.
        candidates: (N, M) bool, A, which holds P.

    Returns:
        (N,) the loss of each view.
    """
    # The softmax's sum is taken relative to its largest term inside logsumexp: no temperature overflows it.
    log_sum = logits.masked_fill(~candidates, -torch.inf).logsumexp(dim=1)
    positive_sum = logits.masked_fill(~positives, 0).sum(dim=1)
    return log_sum - positive_sum / positives.sum(dim=1)


def ppcl(embeddings: Tensor, groups: Tensor, temperature: float, num_real: int | None = None) -> Tensor:
    """The partially pseudo-labeled contrastive loss (Wu et al. 2023, arXiv 2202.06464): SimCLR's for groups of two.

    `contrastive_loss` with the views of all processes as candidates, but for the view itself; views are positives when
    their group, a real image's index or a latent's pseudo-label, is the same. The mean over processes of the mean of
    what this returns has the gradient of one process on the whole batch.

    Args:
        embeddings: (N, D) of unit length. N is the same in every process.
        groups: (N,) integers, unique over all processes.
        temperature: above 0.
        num_real: where given, how many of the views, the first ones, are real, in every process; real views are then
            compared with real ones alone.

    Returns:
        (N,) the loss of each of this process's views.
    """
    return _over_all_views(embeddings, groups[:, None] == gather(groups)[None], temperature, num_real)


def supcon(
    embeddings: Tensor, groups: Tensor, labels: Tensor, temperature: float, num_real: int | None = None
) -> Tensor:
    """The supervised-contrastive loss (Khosla et al. 2020, arXiv 2004.11362, eq. 2): views of a class are positives.

    As `ppcl`, but that the views of a class are positives of each other too, over all processes.

    Args:
        embeddings, groups, temperature, num_real: as for `ppcl`. With `num_real` real views have real positives alone.
        labels: (N,) int64, the class of what a view shows; below 0 where there is none, and the group alone counts.

    Returns:
        (N,) the loss of each of this process's views.
    """
    same = (labels[:, None] == gather(labels)[None]) & (labels >= 0)[:, None]
    return _over_all_views(embeddings, same | (groups[:, None] == gather(groups)[None]), temperature, num_real)


def _over_all_views(embeddings: Tensor, same: Tensor, temperature: float, num_real: int | None) -> Tensor:
    """`contrastive_loss` of views with those of all processes; `same` (N, W N) says which are of one kind."""
    with full_precision(embeddings):
        embeddings = at_least_float32(embeddings)
        logits = embeddings @ gather_with_gradient(embeddings).T / temperature  # (N, W * N)
        candidates = ~itself(logits)
        if num_real is not None:
            column = torch.arange(logits.shape[1], device=logits.device) % len(logits)
            candidates &= (column < num_real)[None] | (column[: len(logits)] >= num_real)[:, None]
        return contrastive_loss(logits, same & candidates, candidates)


def queue_contrast(queries: Tensor, keys: Tensor, groups: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """MoCo's loss (He et al. 2020, arXiv 1911.05722, eq. 1) in the supervised-contrastive form.

    Positives of a query are the keys of its group's other views; it is compared with those and with the queue, as in
    MoCo, and not with the keys of other groups. For groups of two views this is the loss of MoCo v2 (arXiv 2003.04297)
    with each view once the query and once the key.

    Args:
        queries: (N, D) of unit length, with gradient.
        keys: (N, D) of unit length, of the momentum encoder, for the same views.
        groups: (N,) integers.
        queue: (K, D) of unit length, keys of earlier steps.
        temperature: above 0.

    Returns:
        (N,) the loss of each query.
    """
    with full_precision(queries):
        queries, keys, queue = at_least_float32(queries), at_least_float32(keys), at_least_float32(queue)
        logits = queries @ torch.cat((keys, queue)).T / temperature  # (N, N + K)
        others = same_group(groups).fill_diagonal_(False)
        in_queue = others.new_ones(len(queries), len(queue))
        positives = torch.cat((others, torch.zeros_like(in_queue)), dim=1)
        return contrastive_loss(logits, positives, torch.cat((others, in_queue), dim=1))


def attraction(embeddings: Tensor, groups: Tensor, num_real: int | None = None) -> Tensor:
    """`2 - 2 cos` between a view and other views of its group, the mean over those: what CLSP asks of synthetic
    positives (Zeng et al. 2024, arXiv 2408.16965; of unit vectors, it is the squared distance). There are no negatives.

    In the paper the pair is a view of a real image and one of an image that was generated from it; so it is here for
    variations of real images, which are in the group of their image: each of their views has the real ones of the
    group, and not those of its own image. (The authors' code has one view of a variation, and one of the two real
    ones.) A sample that has no real image has the other views of its latent, across both of its images where there are
    two. That is ours.

    Args:
        embeddings: (N, D) of unit length.
        groups: (N,) integers; every group has two views or more.
        num_real: how many of the views, the first ones, are real; none if not given.

    Returns:
        (N,) in [0, 4]. The gradient flows to both sides, as in the authors' code.
    """
    with full_precision(embeddings):
        embeddings = at_least_float32(embeddings)
        others = same_group(groups).fill_diagonal_(False)
        if num_real is not None:
            real = others & (torch.arange(len(groups), device=groups.device) < num_real)
            others = torch.where(real.any(dim=1, keepdim=True), real, others)
        similar = (embeddings @ embeddings.T).masked_fill(~others, 0).sum(dim=1) / others.sum(dim=1)
        return 2 - 2 * similar


def same_group(groups: Tensor) -> Tensor:
    """(N, N) bool: whether two views of this process show the same image or latent; true on the diagonal."""
    return groups[:, None] == groups[None]


def itself(logits: Tensor) -> Tensor:
    """(N, W * N) bool: where a view of this process meets itself among the views of all."""
    num_views, num_candidates = logits.shape
    rows = torch.arange(num_views, device=logits.device) + rank() * num_views
    return rows[:, None] == torch.arange(num_candidates, device=logits.device)[None]
