"""DINO: lightly's loss for global and local views, the formula for groups of several sizes, the centre and the head."""

import pytest
import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from torch import nn
from torch.nn import functional as F

from synthcl.learners import create_backbone, create_learner
from synthcl.learners.base import LocalViews, SyntheticTerms
from synthcl.learners.dino import distillation, prototype_similarity

MIXED = torch.tensor([7, 7, 4, 4, 4, 4, 9, 9, 9, 1, 1])  # two views, four, three, two
LOCAL = torch.tensor([4, 7, 4, 4, 4, 4, 4, 9, 1, 1, 7])  # two of a view, but for one group with less
SMALL = {"num_prototypes": 9, "temperature": 0.2, "teacher_temperature": 0.0625}
"""Exact in float32, in which lightly keeps the last."""


def outputs(learner, views):
    """Of student and teacher, (N, K)."""
    student = learner.head(learner.backbone(views))
    with torch.no_grad():
        teacher = learner.momentum_head(learner.momentum_backbone(views))
    pairs = ((student, learner.prototypes), (teacher, learner.momentum_prototypes))
    return [F.normalize(z, dim=1) @ F.normalize(prototypes.weight, dim=1).T for z, prototypes in pairs]


@pytest.mark.parametrize("num_local", [0, 1, 5])
@pytest.mark.parametrize("num_views", [2, 4])
def test_the_loss_is_lightlys_with_its_gradient_and_its_centre(small, num_views, num_local):
    learner, groups = small.make("dino", head_batchnorm=False, **SMALL), torch.arange(3).repeat(num_views)
    small.part_encoders(learner)
    published = DINOLoss(output_dim=9, teacher_temp=0.0625, student_temp=0.2).double()
    for step in range(2):  # in the second the centre is no longer zero
        views = small.images(3 * num_views, seed=step)
        student, teacher = outputs(learner, views)
        students, local = list(student.split(3)), None
        if num_local:
            crops = small.images(3 * num_local, seed=10 + step)
            students += outputs(learner, crops)[0].split(3)
            local = LocalViews(crops, torch.arange(3).repeat(num_local), 3 * num_local)
        expected = published(list(teacher.split(3)), students)
        loss, hardness, _ = learner(views, groups, local=local)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(hardness.mean(), expected.detach())
        parameters = [p for p in learner.parameters() if p.requires_grad]
        for found, reference in zip(
            torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
        ):
            torch.testing.assert_close(found, reference)
        learner.after_step(1.0)  # at the end the teacher stands still
        torch.testing.assert_close(learner.center, published.center.flatten())
    assert learner.center.abs().max() > 1e-3


def cross_entropy(log_student, target):
    return -sum(target[k] * log_student[k] for k in range(len(target)))


@pytest.mark.parametrize("with_local", [False, True])
def test_groups_of_several_sizes_are_the_formula(small, with_local):
    students, crops = (small.images(11, seed=seed).flatten(1)[:, :9].log_softmax(dim=1) for seed in (0, 2))
    targets = small.images(11, seed=1).flatten(1)[:, :9].softmax(dim=1)
    found = distillation(students, targets, MIXED, *([crops, LOCAL] if with_local else []))
    for group in MIXED.unique():
        seen = [i for i in range(11) if MIXED[i] == group]
        inside = [j for j in range(11) if LOCAL[j] == group] if with_local else []
        of_local = sum(cross_entropy(crops[j], targets[t]) for j in inside for t in seen)
        for i in seen:
            own = sum(cross_entropy(students[i], targets[t]) for t in seen if t != i)
            share = (own + of_local / len(seen)) / (len(seen) - 1 + len(inside))
            torch.testing.assert_close(found[i], share)


def test_synthetic_local_views_weigh_with_their_group(small):
    """They are part of their group's share: with weight 0 neither they nor their global views reach the student."""
    torch.manual_seed(0)
    learner = small.make("dino", synthetic=SyntheticTerms(weight=0.0), **SMALL)
    groups = torch.arange(6).repeat_interleave(2)
    views, crops = small.images(12).requires_grad_(), small.images(12, seed=1).requires_grad_()
    learner.train()
    learner.head.eval()  # batch statistics would join the views
    loss = learner(views, groups, 8, LocalViews(crops, groups, 8)).loss
    for gradient in torch.autograd.grad(loss, (views, crops)):
        reached = gradient.abs().sum(dim=(1, 2, 3)) > 0
        assert reached.tolist() == [True] * 8 + [False] * 4


def with_batchnorm(**options):
    torch.manual_seed(0)
    backbone = create_backbone("resnet10-w8", image_size=16)
    return create_learner("dino", backbone, hidden_dim=16, embedding_dim=8, num_prototypes=12, **options)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.arange(4).repeat_interleave(2)
    local = LocalViews(torch.randn(12, 3, 8, 8, generator=generator), torch.arange(4).repeat_interleave(3), 6)
    return torch.randn(8, 3, 16, 16, generator=generator), groups, 4, local


def test_running_statistics_follow_the_global_views_alone():
    alone, together = with_batchnorm(), with_batchnorm()
    views, groups, num_real, local = batch()
    alone(views, groups, num_real)
    together(views, groups, num_real, local)
    for name, buffer in alone.named_buffers():
        assert torch.equal(buffer, together.get_buffer(name)), name


def test_local_views_reach_the_student_and_not_the_teacher():
    learner = with_batchnorm()
    views, groups, num_real, local = batch()
    crops = local.views.requires_grad_()
    seen = []
    learner.momentum_backbone.register_forward_hook(lambda module, given, out: seen.append(given[0].shape))
    learner(views, groups, num_real, local).loss.backward()
    assert seen == [views.shape]
    assert (crops.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
    assert all(p.grad is not None for p in learner.parameters() if p.requires_grad)


@pytest.mark.parametrize("options", [{"num_parts": 2}, {"synthetic": SyntheticTerms(own_statistics=True)}])
def test_local_views_take_the_ways_of_the_others(options):
    """In eval mode neither parts nor statistics of their own change what comes out."""
    plain, other = with_batchnorm().eval(), with_batchnorm(**options).eval()
    views, groups, num_real, local = batch()
    torch.testing.assert_close(other(views, groups, num_real, local).hardness, plain(*batch()).hardness)
    plain.train(), other.train()
    assert other(*batch()).loss != plain(*batch()).loss  # their batch statistics differ


def test_the_length_of_a_prototype_does_not_count(small):
    learner = small.make("dino", **SMALL)
    embeddings = learner.embed(small.images(4))
    before = prototype_similarity(embeddings, learner.prototypes)
    with torch.no_grad():
        learner.prototypes.weight *= torch.arange(1.0, 10.0)[:, None]
    torch.testing.assert_close(prototype_similarity(embeddings, learner.prototypes), before)
    assert before.abs().max() <= 1


@pytest.mark.parametrize("batchnorm", [True, False])
def test_the_head_is_lightlys(small, batchnorm):
    learner = small.make("dino", head_batchnorm=batchnorm, **SMALL)
    torch.manual_seed(1)
    with pytest.warns(FutureWarning, match="weight_norm"):
        published = DINOProjectionHead(6, 8, 5, 9, batch_norm=batchnorm).double()
    ours, theirs = ([m for m in head.modules() if not list(m.children())] for head in (learner.head, published.layers))
    assert [type(layer) for layer in ours] == [type(layer) for layer in theirs if not isinstance(layer, nn.Identity)]
    for layer, other in zip(ours, theirs, strict=True):
        for name, parameter in other.named_parameters():
            getattr(layer, name).data = parameter.data.clone()
    learner.prototypes.weight.data = published.last_layer.weight_v.data
    features = small.images(7).flatten(1)[:, :6]
    found = prototype_similarity(F.normalize(learner.head(features), dim=1), learner.prototypes)
    torch.testing.assert_close(found, published(features))


def test_neither_extra_passes_nor_eval_mode_move_the_centre(small):
    learner, groups = small.make("dino", **SMALL), torch.arange(4).repeat(2)
    with learner.extra_pass():
        learner(small.images(8), groups)
    learner.eval()(small.images(8), groups)
    learner.after_step(0.5)
    assert not learner.center.any()


def test_the_teacher_follows_with_its_prototypes(small):
    learner = small.make("dino", momentum=0.8, **SMALL)
    small.part_encoders(learner, 1.0)
    expected = {
        "backbone": learner.backbone[1].bias + 0.9,
        "head": learner.head[0].weight + 0.9,
        "prototypes": learner.prototypes.weight + 0.9,
    }
    learner.after_step(0.5)  # half way from 0.8 to 1
    torch.testing.assert_close(learner.momentum_backbone[1].bias, expected["backbone"])
    torch.testing.assert_close(learner.momentum_head[0].weight, expected["head"])
    torch.testing.assert_close(learner.momentum_prototypes.weight, expected["prototypes"])
