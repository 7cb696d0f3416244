"""SimCLR: the published loss of what its own networks give, and equation 2 of supervised contrast for larger groups."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch.nn import functional as F

NUM_REAL = 6
GROUPS = torch.tensor([4, 4, 2, 2, 3, 3, 9, 8, 9, 8, 9, 8, 9, 8])  # three real images, then two latents of four views


def embeddings_of(learner, views):
    return F.normalize(learner.head(learner.backbone(views)), dim=1)


def naive(z, temperature, compared):
    """The loss of each view, one positive at a time; `compared(i, a)` says whether view i is compared with view a."""
    losses = []
    for i in range(len(z)):
        candidates = [a for a in range(len(z)) if a != i and compared(i, a)]
        exps = {a: torch.exp(z[i] @ z[a] / temperature) for a in candidates}
        positives = [a for a in candidates if GROUPS[a] == GROUPS[i]]
        losses.append(-sum(torch.log(exps[p] / sum(exps.values())) for p in positives) / len(positives))
    return torch.stack(losses)


def test_of_two_views_it_is_lightlys(small):
    learner, views = small.make("simclr", temperature=0.3), small.images(8)
    z = embeddings_of(learner, views).float()
    found = learner(views, torch.arange(4).repeat(2)).loss.float()
    torch.testing.assert_close(found, NTXentLoss(temperature=0.3)(z[:4], z[4:]))


def test_a_head_with_batch_normalisation_is_lightlys(small):
    learner, views = small.make("simclr", head_batchnorm=True), small.images(8)
    features = learner.backbone(views)
    theirs = SimCLRProjectionHead(features.shape[1], learner.head[0].out_features, learner.head[-1].num_features)
    assert [type(layer) for layer in theirs.layers] == [type(layer) for layer in learner.head]
    theirs.layers.load_state_dict(learner.head.state_dict())
    theirs.to(features.dtype)
    torch.testing.assert_close(theirs(features), learner.head(features))


@pytest.mark.parametrize("synthetic_negatives", [True, False])
def test_the_loss_and_the_hardness_of_larger_groups_with_their_gradient(small, synthetic_negatives):
    learner = small.make("simclr", temperature=0.3, synthetic_negatives=synthetic_negatives)
    views = small.images(len(GROUPS))
    loss, hardness, embeddings = learner(views, GROUPS, NUM_REAL)
    z = embeddings_of(learner, views)
    expected = naive(z, 0.3, lambda i, a: synthetic_negatives or i >= NUM_REAL or a < NUM_REAL)
    torch.testing.assert_close(loss, expected.mean())
    torch.testing.assert_close(hardness, expected.detach())
    torch.testing.assert_close(embeddings, z.detach())
    parameters = list(learner.parameters())
    for found, reference in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected.mean(), parameters), strict=True
    ):
        torch.testing.assert_close(found, reference)


@pytest.mark.parametrize("num_views", [2, 4])
def test_the_least_loss_is_that_of_groups_as_far_apart_as_can_be(small, num_views):
    # The weights are set so that each group has its own corner; the temperature is so low that others do not count.
    learner = small.make("simclr", temperature=0.01, embedding_dim=3)
    learner.backbone, learner.head = torch.nn.Flatten(), torch.nn.Identity()
    views = torch.eye(3, dtype=torch.float64).repeat_interleave(num_views, dim=0)
    loss = learner(views, torch.arange(3).repeat_interleave(num_views)).loss
    assert learner.least_loss(num_views - 1) == pytest.approx(math.log(num_views - 1))
    torch.testing.assert_close(float(loss), learner.least_loss(num_views - 1), rtol=0, atol=1e-9)
