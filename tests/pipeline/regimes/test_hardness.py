"""What the generator is asked for, against plain loops; and that making all samples alike does not pay."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthcl.learners import create_learner
from synthcl.learners.base import LearnerOutput
from synthcl.learners.losses import ppcl
from synthcl.pipeline.regimes.base import MultiViewedBatch
from synthcl.pipeline.regimes.hardness import (
    against_real,
    alignment,
    excess_hardness,
    hard_gradient,
    without_common_part,
)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("num_own", [2, 3])
@pytest.mark.parametrize("num_seen", [0, 2])
def test_objectives_are_those_of_plain_loops(num_own, num_seen):
    own, seen, real = unit(3, num_own, 5), unit(3, num_seen, 5, seed=1), unit(7, 5, seed=2)
    views = torch.cat((own, seen), dim=1)
    told, apart = [], []
    for j in range(3):
        losses, distances = [], []
        for u in range(num_own):
            for v in range(num_own + num_seen):
                if u == v:
                    continue
                similar = float(views[j, u] @ views[j, v])
                negatives = sum(math.exp(float(views[j, u] @ r) / 0.3) for r in real)
                losses.append(-math.log(math.exp(similar / 0.3) / (math.exp(similar / 0.3) + negatives)))
                distances.append(1 - similar)
        told.append(sum(losses) / len(losses))
        apart.append(sum(distances) / len(distances))
    torch.testing.assert_close(against_real(own, views, real, 0.3), torch.tensor(told), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alignment(own, views), torch.tensor(apart), rtol=1e-4, atol=1e-5)


def test_objectives_are_computed_in_float32_under_autocast():
    own, seen, real = unit(3, 2, 5), unit(3, 2, 5, seed=1), unit(7, 5, seed=2)
    views = torch.cat((own, seen), dim=1)
    plain = against_real(own, views, real, 0.3), alignment(own, views)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = against_real(own, views, real, 0.3), alignment(own, views)
    assert all(torch.equal(*values) for values in zip(plain, inside, strict=True))


def test_samples_that_are_all_alike_raise_the_whole_loss_but_no_objective_of_ones_own():
    """Eight latents, each with views near each other: at eight places, and all at one of them."""
    places, real = unit(8, 1, 16), unit(32, 16, seed=3)
    noise = 0.1 * torch.randn(8, 4, 16, generator=torch.Generator().manual_seed(4))
    varied, alike = F.normalize(places + noise, dim=-1), F.normalize(places[:1] + noise, dim=-1)
    groups = torch.cat((torch.arange(16).repeat_interleave(2), 16 + torch.arange(8).repeat_interleave(4)))
    whole = [ppcl(torch.cat((real, made.flatten(0, 1))), groups, 0.2)[32:].mean() for made in (varied, alike)]
    assert whole[1] > whole[0] + 1
    for measure in (alignment, lambda own, views: against_real(own, views, real, 0.2)):
        apart, together = (measure(made[:, :2], made).mean() for made in (varied, alike))
        assert abs(together - apart) < 0.35  # the place alone decides, not that all are there


class Flat(nn.Module):
    """A linear encoder, so that gradients have a closed form."""

    num_features = 6

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3 * 4 * 4, 6)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        return self.norm(self.net(x.flatten(1)))


@pytest.mark.parametrize("objective", ["real-negatives", "alignment"])
def test_the_gradient_is_each_samples_own_and_leaves_the_learner_as_it_was(objective):
    torch.manual_seed(0)
    learner = create_learner("simclr", Flat(), hidden_dim=8, embedding_dim=5)
    images = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    batch = MultiViewedBatch(torch.zeros(12 + 16, 3, 4, 4), torch.arange(28), num_real=12)
    embeddings = unit(28, 5, seed=5)
    output = LearnerOutput(torch.zeros(()), torch.zeros(28), embeddings)

    def views(x):
        return torch.stack((x, x.flip(-1) * 0.5), dim=1)

    before = {name: value.clone() for name, value in learner.state_dict().items()}
    gradient = hard_gradient(objective, images, views, learner, batch, output)
    assert learner.training
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    assert all(p.grad is None for p in learner.parameters())
    # Another image in place of the last one changes no other sample's gradient.
    changed = images.clone()
    changed[3] = 0.3
    again = hard_gradient(objective, changed, views, learner, batch, output)
    torch.testing.assert_close(again[:3], gradient[:3])
    # Against the gradient the images become harder.
    learner.eval()

    def hardness(x):
        own = learner.embed(views(x).flatten(0, 1)).unflatten(0, (4, 2))
        positives = torch.cat((own, embeddings[12:].unflatten(0, (4, 4))[:, 2:]), dim=1)
        if objective == "alignment":
            return alignment(own, positives).sum()
        return against_real(own, positives, embeddings[:12], learner.temperature).sum()

    with torch.no_grad():
        step = 1e-3
        rise = hardness(images - step * gradient) - hardness(images + step * gradient)
    assert rise.item() == pytest.approx(2 * step * gradient.square().sum().item(), rel=1e-2)


@pytest.mark.parametrize("objective", ["real-negatives", "alignment"])
def test_in_parts_the_gradient_is_that_of_the_whole(objective):
    torch.manual_seed(0)
    learner = create_learner("simclr", Flat(), hidden_dim=8, embedding_dim=5)
    images = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    batch = MultiViewedBatch(torch.zeros(12 + 16, 3, 4, 4), torch.arange(28), num_real=12)
    output = LearnerOutput(torch.zeros(()), torch.zeros(28), unit(28, 5, seed=5))
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    found, sizes = [], []
    learner.backbone.register_forward_hook(lambda module, given, _: sizes.append((len(given[0]), module.training)))
    for learner.num_parts in (1, 4):
        found.append(
            hard_gradient(objective, images, lambda x: torch.stack((x, x.flip(-1)), dim=1), learner, batch, output)
        )
    torch.testing.assert_close(found[1], found[0])
    assert sizes == [(8, False)] + [(2, False)] * 8  # once forward, and once more when the backward pass comes
    assert learner.training
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())


@pytest.mark.parametrize("num_parts", [1, 2])
def test_the_learners_forward_pass_alone_is_under_its_autocast(num_parts):
    torch.manual_seed(0)
    learner = create_learner("simclr", Flat(), hidden_dim=8, embedding_dim=5, num_parts=num_parts)
    batch = MultiViewedBatch(torch.zeros(12 + 16, 3, 4, 4), torch.arange(28), num_real=12)
    output = LearnerOutput(torch.zeros(()), torch.zeros(28), unit(28, 5, seed=5))
    forward, backward = [], []

    def views(x):
        made = torch.stack((x, x.flip(-1)), dim=1)
        made.register_hook(lambda _: backward.append(torch.is_autocast_enabled("cpu")))
        return made

    learner.backbone.register_forward_hook(lambda *_: forward.append(torch.is_autocast_enabled("cpu")))
    with_autocast = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
    hard_gradient("real-negatives", torch.rand(4, 3, 4, 4), views, learner, batch, output, with_autocast)
    assert forward and all(forward) and backward == [False]


def test_excess_hardness_takes_off_what_the_size_of_a_group_brings():
    hardness = torch.tensor([1.0, 3.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0, 6.0, 6.0, 6.0, 6.0])
    batch = MultiViewedBatch(torch.zeros(12, 1), torch.zeros(12), num_real=4)
    output = LearnerOutput(torch.zeros(()), hardness, torch.zeros(12, 1))
    found = excess_hardness(batch, output, 2, 2, math.log)
    torch.testing.assert_close(found, torch.tensor([4.0, 6.0]) - math.log(3) - 2.0)
    # Real images too have more than one positive a view: with as many, nothing is to be taken off.
    found = excess_hardness(batch, output, 2, 4, math.log)
    torch.testing.assert_close(found, torch.tensor([4.0, 6.0]) - 2.0)


def test_the_common_part():
    gradient = torch.randn(5, 3, 2, 2)
    torch.testing.assert_close(without_common_part(gradient + 7.0), gradient - gradient.mean(0), rtol=1e-4, atol=1e-5)


def test_the_common_part_is_of_the_latents_that_are_counted_and_of_the_others_nothing_is_left():
    gradient = torch.randn(5, 3, 2, 2)
    counted = torch.tensor([True, False, True, True, False])
    centred = without_common_part(gradient, counted)
    own = gradient[counted]
    torch.testing.assert_close(centred[counted], own - own.mean(0))
    assert (centred[~counted] == 0).all()
    assert (without_common_part(gradient, torch.zeros(5, dtype=torch.bool)) == 0).all()
    torch.testing.assert_close(
        without_common_part(gradient, torch.ones(5, dtype=torch.bool)), without_common_part(gradient)
    )


def test_in_two_processes_the_gradient_is_against_the_real_images_of_both(in_ranks):
    torch.manual_seed(0)
    learners = [create_learner("simclr", Flat(), hidden_dim=8, embedding_dim=5)]
    learners.append(copy.deepcopy(learners[0]))
    images, real, made = torch.rand(4, 3, 4, 4) * 2 - 1, unit(12, 5, seed=5), unit(16, 5, seed=6)

    def gradient(learner, real, made, images):
        batch = MultiViewedBatch(torch.zeros(len(real) + len(made), 3, 4, 4), torch.arange(28), num_real=len(real))
        output = LearnerOutput(torch.zeros(()), torch.zeros(28), torch.cat((real, made)))
        return hard_gradient(
            "real-negatives", images, lambda x: torch.stack((x, x.flip(-1)), dim=1), learner, batch, output
        )

    whole = gradient(learners[0], real, made, images)
    parts = [[tensor.chunk(2)[rank] for tensor in (real, made, images)] for rank in range(2)]
    both = torch.cat(in_ranks(2, lambda rank: gradient(learners[rank], *parts[rank])))
    torch.testing.assert_close(both, whole)


def test_in_two_processes_excess_hardness_is_over_the_real_views_of_both(in_ranks):
    real, made = torch.tensor([1.0, 3.0, 2.0, 6.0]), torch.arange(16.0)

    def excess(real, made):
        batch = MultiViewedBatch(torch.zeros(len(real) + len(made), 1), torch.zeros(20), num_real=len(real))
        output = LearnerOutput(torch.zeros(()), torch.cat((real, made)), torch.zeros(20, 1))
        return excess_hardness(batch, output, len(made) // 4, 2, math.log)

    whole = excess(real, made)
    both = torch.cat(in_ranks(2, lambda rank: excess(real.chunk(2)[rank], made.chunk(2)[rank])))
    torch.testing.assert_close(both, whole)


@pytest.mark.parametrize("counted", [None, [True, False, False, True, True, True], [False] * 3 + [True] * 3])
def test_in_two_processes_the_common_part_is_that_of_all_latents(in_ranks, counted):
    gradient = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    counted = None if counted is None else torch.tensor(counted)

    def centred(rank):
        return without_common_part(gradient.chunk(2)[rank], None if counted is None else counted.chunk(2)[rank])

    whole = without_common_part(gradient, counted)
    torch.testing.assert_close(torch.cat(in_ranks(2, centred)), whole)
