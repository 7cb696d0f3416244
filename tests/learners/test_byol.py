"""BYOL: the published loss of what its own networks give, for two views, and where no gradient flows."""

import torch
from lightly.loss import NegativeCosineSimilarity
from torch import Tensor, nn

from synthcl.learners import Learner, create_learner

GROUPS = torch.arange(8).repeat(2)


class Backbone(nn.Sequential):
    num_features = 6

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(12, 6), nn.ReLU())


def make(name: str) -> Learner:
    torch.manual_seed(0)
    return create_learner(name, Backbone(), hidden_dim=8, embedding_dim=5)


def images() -> Tensor:
    return torch.randn(16, 3, 2, 2, generator=torch.Generator().manual_seed(0))


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """lightly's, of two views in both directions."""
    published = NegativeCosineSimilarity()
    return (published(predictions[:8], targets[8:]) + published(predictions[8:], targets[:8])) / 2


def test_byol_predicts_what_the_momentum_encoder_makes_of_the_other_view():
    learner, views = make("byol"), images()
    with torch.no_grad():
        for parameter in learner.momentum_projector.parameters():  # as if the encoders had parted
            parameter += 0.1
        predictions = learner.predictor(learner.projector(learner.backbone(views)))
        targets = learner.momentum_projector(learner.momentum_backbone(views))
    torch.testing.assert_close(learner(views, GROUPS).loss.detach(), 2 + 2 * negative_cosine(predictions, targets))


def test_byol_moves_its_momentum_encoder_after_the_step():
    learner = make("byol")
    with torch.no_grad():
        learner.backbone[1].bias += 1
        learner.projector[0].weight += 1
    biases, weights = learner.momentum_backbone[1].bias.clone(), learner.momentum_projector[0].weight.clone()
    learner.after_step(0.5)  # half way from 0.99 to 1
    torch.testing.assert_close(learner.momentum_backbone[1].bias, biases + 0.005)
    torch.testing.assert_close(learner.momentum_projector[0].weight, weights + 0.005)
    learner.after_step(1.0)
    torch.testing.assert_close(learner.momentum_backbone[1].bias, biases + 0.005)
