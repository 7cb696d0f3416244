"""SimSiam: predicts its own projection of the other view."""

import torch

GROUPS = torch.arange(8).repeat(2)


def test_simsiam_predicts_its_own_projection_of_the_other_view_without_gradient_through_it(small):
    learner, views = small.make("simsiam"), small.images(16)
    projections = learner.projector(learner.backbone(views))
    expected = small.negative_cosine(learner.predictor(projections), projections.detach())
    loss = learner(views, GROUPS).loss
    torch.testing.assert_close(loss, expected)
    parameters = list(learner.parameters())
    for gradient, expected_gradient in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(gradient, expected_gradient)
