"""DINO: lightly's loss for two and for four global views, the formula for groups of several sizes, and the centre."""

import pytest
import torch
from lightly.loss import DINOLoss
from torch.nn import functional as F

from synthcl.learners.dino import distillation, prototype_similarity

MIXED = torch.tensor([7, 7, 4, 4, 4, 4, 9, 9, 9, 1, 1])  # two views, four, three, two
SMALL = {
    "num_prototypes": 9,
    "temperature": 0.2,
    "teacher_temperature": 0.0625,
}  # exact in float32, in which lightly keeps the last


def outputs(learner, views):
    """Of student and teacher, (N, K)."""
    student = learner.head(learner.backbone(views))
    with torch.no_grad():
        teacher = learner.momentum_head(learner.momentum_backbone(views))
    pairs = ((student, learner.prototypes), (teacher, learner.momentum_prototypes))
    return [F.normalize(z, dim=1) @ F.normalize(prototypes.weight, dim=1).T for z, prototypes in pairs]


@pytest.mark.parametrize("num_views", [2, 4])
def test_the_loss_is_lightlys_with_its_gradient_and_its_centre(small, num_views):
    learner, groups = small.make("dino", **SMALL), torch.arange(3).repeat(num_views)
    small.part_encoders(learner)
    published = DINOLoss(output_dim=9, teacher_temp=0.0625, student_temp=0.2).double()
    for step in range(2):  # in the second the centre is no longer zero
        views = small.images(3 * num_views, seed=step)
        student, teacher = outputs(learner, views)
        expected = published(list(teacher.split(3)), list(student.split(3)))
        loss, hardness, _ = learner(views, groups)
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


def test_groups_of_several_sizes_are_the_formula(small):
    logits = small.images(11).flatten(1)[:, :9].requires_grad_()
    targets = small.images(11, seed=1).flatten(1)[:, :9].softmax(dim=1)
    expected = []
    for i, group in enumerate(MIXED):
        others = [j for j in range(11) if j != i and MIXED[j] == group]
        p = logits[i].exp() / logits[i].exp().sum()
        expected.append(sum(-sum(targets[j][k] * p[k].log() for k in range(9)) for j in others) / len(others))
    found = distillation(logits, targets, MIXED)
    torch.testing.assert_close(found, torch.stack(expected))


def test_the_length_of_a_prototype_does_not_count(small):
    learner = small.make("dino", **SMALL)
    embeddings = learner.embed(small.images(4))
    before = prototype_similarity(embeddings, learner.prototypes)
    with torch.no_grad():
        learner.prototypes.weight *= torch.arange(1.0, 10.0)[:, None]
    torch.testing.assert_close(prototype_similarity(embeddings, learner.prototypes), before)
    assert before.abs().max() <= 1


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
