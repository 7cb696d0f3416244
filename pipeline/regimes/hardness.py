"""What the generator is asked for in joint training: samples that are hard for the learner.

The learner's whole loss is one answer, `loss`: its gradient comes with the learner's own backward pass. But samples
that are all alike maximise it, as each is then a strong negative of every other. The other objectives look at each
latent on its own, and take one more pass through the learner, of the views of G(z) alone.

Shapes: M latents a step over all processes, m in this process, V views of a latent of which U are of G(z), R real views
over all processes, D dimensions of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ...learners.base import Learner, LearnerOutput
from ...learners.collectives import gather
from ...learners.parts import apply_in_parts
from ...learners.precision import at_least_float32, full_precision
from ..runtime.distributed import average
from .base import MultiViewedBatch


def against_real(own: Tensor, positives: Tensor, real: Tensor, temperature: float) -> Tensor:
    """How badly a latent's views are told from real images: the contrastive loss with real negatives alone.

    `-1/|P| sum_p log( exp(s_p / t) / (exp(s_p / t) + sum_r exp(s_r / t)) )`, the mean over the latent's own views. It
    is not raised by making synthetic samples alike, since no other sample is in it. Ours.

    Args:
        own: (m, U, D) embeddings of views of G(z), of unit length.
        positives: (m, V, D) embeddings of all views of the latents, those of `own` first and in its order.
        real: (R, D) embeddings of real views.
        temperature: t.

    Returns:
        (m,), in at least float32.
    """
    with full_precision(own):
        own, positives, real = at_least_float32(own), at_least_float32(positives), at_least_float32(real)
        similar = _similarity_of_positives(own, positives) / temperature  # (m, U, V), -inf for a view and itself
        repelled = (own @ real.T / temperature).logsumexp(dim=-1, keepdim=True)  # (m, U, 1)
        losses = torch.nn.functional.softplus(repelled - similar)
        return _mean_over_positives(losses.masked_fill(similar.isneginf(), 0))


def alignment(own: Tensor, positives: Tensor) -> Tensor:
    """How far apart a latent's views are: the mean of 1 - cos to its other views, (m,) in at least float32;
    arguments as for `against_real`."""
    with full_precision(own):
        similar = _similarity_of_positives(at_least_float32(own), at_least_float32(positives))
        return _mean_over_positives((1 - similar).masked_fill(similar.isneginf(), 0))


def _similarity_of_positives(own: Tensor, positives: Tensor) -> Tensor:
    itself = torch.eye(own.shape[1], positives.shape[1], dtype=torch.bool, device=own.device)
    return (own @ positives.transpose(1, 2)).masked_fill(itself, -torch.inf)


def _mean_over_positives(values: Tensor) -> Tensor:
    """(m,) of (m, U, V), of which one in each row is a view and itself, and 0."""
    return values.sum(dim=2).mean(dim=1) / (values.shape[2] - 1)


def hard_gradient(
    objective: str,
    images: Tensor,
    make_views: Callable[[Tensor], Tensor],
    learner: Learner,
    batch: MultiViewedBatch,
    output: LearnerOutput,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Tensor:
    """The gradient, at each image, of minus what G is to raise: of the image's own latent, not of their mean.

    The learner is as it stands after its step, in evaluation mode, so that no sample's gradient depends on another's.
    The views go through it in its `num_parts` parts.

    Args:
        objective: one of `configs.joint.OBJECTIVES` but `loss`.
        images: (m, 3, S, S) in [-1, 1], G(z).
        make_views: gives views (m, U, 3, H, W) of images, differentiable.
        learner: gives embeddings.
        batch, output: of the step: what the learner made of real views, and of those of the moving average.
        autocast: what the learner's forward pass is under; the backward pass is not.

    Returns:
        (m, 3, S, S).
    """
    leaf = images.detach().requires_grad_()
    views = make_views(leaf)
    count, num_own = views.shape[:2]
    was_training = learner.training
    learner.eval()
    try:
        flat = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with autocast():
            own = apply_in_parts(learner.embed, flat, learner.num_parts).float()
        own = own.unflatten(0, (count, num_own))
        seen = output.embeddings[batch.num_real :].float().unflatten(0, (count, -1))[:, num_own:]
        positives = torch.cat((own, seen), dim=1)
        if objective == "alignment":
            hardness = alignment(own, positives)
        else:
            real = gather(output.embeddings[: batch.num_real].float())
            hardness = against_real(own, positives, real, learner.temperature)
        (gradient,) = torch.autograd.grad(-hardness.sum(), leaf)  # parts are computed again here, in the same mode
    finally:
        learner.train(was_training)
    return gradient


def excess_hardness(
    batch: MultiViewedBatch,
    output: LearnerOutput,
    count: int,
    views_per_image: int,
    least_loss: Callable[[int], float],
) -> Tensor:
    """(m,) by how much each latent's loss exceeds the real views' mean loss.

    What the loss of a view with so many positives has at least is taken off both.

    Args:
        batch, output: of the step.
        count: m.
        views_per_image: of a real image.
        least_loss: `Learner.least_loss`. Positives must be the views of a group, and not those of a class.
    """
    real, made = output.hardness[: batch.num_real], output.hardness[batch.num_real :].unflatten(0, (count, -1))
    at_real = average(real.mean()) - least_loss(views_per_image - 1)
    return made.mean(dim=1) - least_loss(made.shape[1] - 1) - at_real


def without_common_part(gradient: Tensor, counted: Tensor | None = None) -> Tensor:
    """The gradients (m, 3, S, S) less their mean over the latents of all processes.

    What all samples share, a tint above all, adds up over a batch in G's parameters, where what realism asks of each
    sample does not. Ours.

    Args:
        gradient: of each latent.
        counted: (m,) booleans, the latents that have a gradient; None: all. The mean is over these, and of the others
            0 is left, so that a latent that was left out is not pushed against those that were not.
    """
    if counted is None:
        return gradient - average(gradient.mean(dim=0))
    given = counted.to(gradient.dtype)
    whole = gradient * given[:, None, None, None]
    number = average(given.sum())
    mean = average(whole.sum(dim=0)) / number.clamp(min=torch.finfo(gradient.dtype).tiny)
    return (gradient - mean) * given[:, None, None, None]


def part_of_a_latent(batch: MultiViewedBatch, num_latents: int, learner: Learner) -> float:
    """What the mean loss over the views of one latent counts for in the learner's loss, so that G is asked to raise
    that mean at any ratio, and whatever weight synthetic views have for the learner.

    With pairs half of a latent's views are G_ema's. They have no gradient of their own at G(z), and are positives that
    G(z) keeps: the gradient was 1.6 to 3.8 times smaller than without pairs, by the objective.

    Real views' loss has a gradient at the samples too, which are their negatives and share their batch statistics, and
    it is divided by the same. So a small weight of synthetic views turns G towards raising the loss of real ones, which
    then counts 1 / weight. One backward pass does not tell the two apart.
    """
    weight = learner.synthetic_weight
    if weight is None:
        return (1 - batch.num_real / len(batch.groups)) / num_latents
    return (weight or 1.0) / num_latents  # at weight 0 the real views' loss alone has a gradient; it stays as it is
