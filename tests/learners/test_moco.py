"""MoCo's moving parts: the queue, its order and wrap-around, when it changes, and the momentum encoder."""

import torch
from lightly.loss import NTXentLoss
from torch import nn

from synthcl.learners import create_learner

GROUPS = torch.tensor([4, 2, 4, 2])


class Backbone(nn.Module):
    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1)).relu()


def make(**options):
    torch.manual_seed(0)
    return create_learner("moco", Backbone(), **{"hidden_dim": 8, "embedding_dim": 5, "queue_size": 10, **options})


def images(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


def keys_of(learner, views):
    with torch.no_grad():
        return nn.functional.normalize(learner.momentum_head(learner.momentum_backbone(views)), dim=1)


def test_the_loss_is_that_of_moco_v2_in_both_directions():
    learner, views = make(), images()
    published = NTXentLoss(temperature=0.1, memory_bank_size=(10, 5))
    published.memory_bank.bank = learner.queue.clone()
    with torch.no_grad():
        q, k = learner.head(learner.backbone(views)), keys_of(learner, views)
        expected = (published(q[:2], k[2:]) + published(q[2:], k[:2])) / 2
    torch.testing.assert_close(learner(views, GROUPS).loss.detach(), expected)


def test_the_queue_starts_with_random_keys_of_unit_length():
    queue = make().queue
    assert queue.shape == (10, 5)
    torch.testing.assert_close(queue.norm(dim=1), torch.ones(10))
    assert queue.std() > 0.1


def test_keys_enter_the_queue_after_the_step_in_order_of_group_and_wrap_around():
    learner = make()
    expected, keys = learner.queue.clone(), []
    for seed in range(3):
        keys.append(keys_of(learner, images(seed))[[1, 3, 0, 2]])  # group 2 before group 4
        learner(images(seed), GROUPS)
        learner.after_step(0.1)
    keys = torch.cat(keys)  # 12 in a queue of 10: the last two have overwritten the first two
    expected[:2], expected[2:] = keys[10:], keys[2:10]
    torch.testing.assert_close(learner.queue, expected)
    assert learner.queue_position == 2


def test_more_keys_than_the_queue_holds_leave_the_last():
    learner = make(queue_size=3)
    keys = keys_of(learner, images())[[1, 3, 0, 2]]
    learner(images(), GROUPS)
    learner.after_step(0.1)
    torch.testing.assert_close(learner.queue, keys[1:])


def test_a_forward_pass_alone_changes_nothing_and_a_step_of_several_queues_all_of_them():
    learner = make()
    before = learner.queue.clone()
    first = learner(images(), GROUPS).loss
    assert learner(images(), GROUPS).loss == first
    assert torch.equal(learner.queue, before)
    learner.after_step(0.1)
    assert learner.queue_position == 8
    assert torch.equal(learner.queue[8:], before[8:])
    learner.after_step(0.2)
    assert learner.queue_position == 8  # nothing is queued twice


def test_neither_eval_mode_nor_no_grad_queues_anything():
    learner = make()
    with torch.no_grad():
        learner(images(), GROUPS)
    learner.eval()
    learner(images(), GROUPS)
    learner.after_step(0.1)
    assert learner.queue_position == 0


def test_the_momentum_encoder_follows_after_the_step():
    learner = make(momentum=0.75)
    start = learner.momentum_backbone.linear.weight.clone()
    with torch.no_grad():
        learner.backbone.linear.weight += 1
        learner.head[0].bias += 2
    bias = learner.momentum_head[0].bias.clone()
    learner.after_step(0.3)
    torch.testing.assert_close(learner.momentum_backbone.linear.weight, start + 0.25)
    torch.testing.assert_close(learner.momentum_head[0].bias, bias + 0.5)


def test_no_gradient_reaches_the_keys():
    learner = make()
    learner(images().requires_grad_(), GROUPS).loss.backward()
    assert all(p.grad is None for p in learner.momentum_backbone.parameters())
    assert not learner.queue.requires_grad
