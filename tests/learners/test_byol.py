"""BYOL: the published loss of what its own networks give, for two views, and where no gradient flows."""

import torch

GROUPS = torch.arange(8).repeat(2)


def test_byol_predicts_what_the_momentum_encoder_makes_of_the_other_view(small):
    learner, views = small.make("byol"), small.images(16)
    small.part_encoders(learner)
    with torch.no_grad():
        predictions = learner.predictor(learner.projector(learner.backbone(views)))
        targets = learner.momentum_projector(learner.momentum_backbone(views))
    expected = 2 + 2 * small.negative_cosine(predictions, targets)
    torch.testing.assert_close(learner(views, GROUPS).loss.detach(), expected)


def test_byol_moves_its_momentum_encoder_after_the_step(small):
    learner = small.make("byol")
    with torch.no_grad():
        learner.backbone[1].bias += 1
        learner.projector[0].weight += 1
    biases, weights = learner.momentum_backbone[1].bias.clone(), learner.momentum_projector[0].weight.clone()
    learner.after_step(0.5)  # half way from 0.99 to 1
    torch.testing.assert_close(learner.momentum_backbone[1].bias, biases + 0.005)
    torch.testing.assert_close(learner.momentum_projector[0].weight, weights + 0.005)
    learner.after_step(1.0)
    torch.testing.assert_close(learner.momentum_backbone[1].bias, biases + 0.005)
