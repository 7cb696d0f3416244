"""SimSiam: predicts its own projection of the other view."""

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


def test_simsiam_predicts_its_own_projection_of_the_other_view_without_gradient_through_it():
    learner, views = make("simsiam"), images()
    projections = learner.projector(learner.backbone(views))
    expected = negative_cosine(learner.predictor(projections), projections.detach())
    loss = learner(views, GROUPS).loss
    torch.testing.assert_close(loss, expected)
    parameters = list(learner.parameters())
    for gradient, expected_gradient in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(gradient, expected_gradient)
