"""The relativistic pairing loss and the zero-centred gradient penalties of R3GAN (arXiv 2501.05441, section 2).

All are means over samples of terms that belong to one sample (or one pair of a real and a fake one), so the mean over
processes with equally many samples is the value on the whole batch.

Shapes: N samples; logits are (N,), images (N, 3, S, S).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean softplus(-(D(x) - D(G(z)))): each real image against one fake.

    Eq. 2 of arXiv 2501.05441 with f(t) = -log(1 + exp(-t)), as a loss to minimise that makes D high on real images;
    after Jolicoeur-Martineau (arXiv 1807.00734).
    """
    return F.softplus(fake_logits - real_logits).mean()


def generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean softplus(-(D(G(z)) - D(x))): the mirror of `discriminator_loss`, which does not saturate."""
    return F.softplus(real_logits - fake_logits).mean()


def gradient_penalties(logits: Tensor, images: Tensor) -> Tensor:
    """||grad_x D(x)||^2 of each sample, (N,), with a graph to D's weights.

    On real images its mean is R1 (Mescheder et al. 2018, arXiv 1801.04406, eq. 9) and on fake ones R2 (eq. 10), each
    without the factor gamma / 2. The gradient of the sum of logits is each sample's own, as D mixes no samples.

    Args:
        logits: (N,) D's output for `images`.
        images: (N, 3, S, S) what D saw, requiring a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1)
