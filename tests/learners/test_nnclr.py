"""NNCLR: algorithm 1 for two views, the nearest neighbour, and what enters the support set."""

import torch
from lightly.models.modules import NNMemoryBankModule
from torch.nn import functional as F

from synthcl.learners.nnclr import nearest

GROUPS = torch.tensor([3, 1, 2, 0, 3, 1, 2, 0])


def published(neighbours, predictions, temperature):
    """`L` of algorithm 1."""
    logits = F.normalize(neighbours, dim=1) @ F.normalize(predictions, dim=1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits)))


def neighbours_in_loops(z, queue):
    found = []
    for point in F.normalize(z, dim=1):
        distances = [float((point - row).square().sum()) for row in queue]
        found.append(queue[distances.index(min(distances))])
    return torch.stack(found)


def test_the_loss_is_the_mean_of_both_directions_of_algorithm_1_with_its_gradient(small):
    learner, views = small.make("nnclr", queue_size=20, predictor_dim=7, temperature=0.3), small.images(8)
    loss, hardness, _ = learner(views, GROUPS)
    z = learner.projector(learner.backbone(views))
    p = learner.predictor(z)
    neighbours = neighbours_in_loops(z.detach(), learner.queue)
    expected = (published(neighbours[:4], p[4:], 0.3) + published(neighbours[4:], p[:4], 0.3)) / 2
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(hardness.mean(), expected.detach())
    parameters = list(learner.parameters())
    for found, reference in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(found, reference)


def test_the_neighbour_is_lightlys(small):
    z, queue = small.images(8).flatten(1)[:, :5], F.normalize(small.images(12, seed=1).flatten(1)[:, :5], dim=1)
    published = NNMemoryBankModule(size=(12, 5))
    published.bank, published.bank_ptr = queue.clone(), torch.zeros(1, dtype=torch.int64)
    torch.testing.assert_close(nearest(F.normalize(z, dim=1), queue), published(z, update=False))


def test_all_projections_of_a_step_enter_the_support_set_after_it_in_order_of_group(small):
    learner = small.make("nnclr", queue_size=20)
    before = learner.queue.clone()
    embeddings = learner(small.images(8), GROUPS).embeddings
    assert torch.equal(learner.queue, before)
    learner.after_step(0.1)
    assert torch.equal(learner.queue[:8], embeddings[GROUPS.argsort(stable=True)])
    assert torch.equal(learner.queue[8:], before[8:])
    assert learner.queue_position == 8


def test_an_extra_pass_leaves_nothing_in_the_support_set(small):
    learner = small.make("nnclr", queue_size=20)
    with learner.extra_pass():
        learner(small.images(8), GROUPS)
    with torch.no_grad():
        learner(small.images(8), GROUPS)
    learner.after_step(0.1)
    assert learner.queue_position == 0
