"""MoCo v3: algorithm 1 for two views, the momentum encoder, and the frozen patches of a vision transformer."""

import math

import pytest
import torch
from torch.nn import functional as F

from synthcl.learners import create_backbone, create_learner

GROUPS = torch.arange(4).repeat(2)


def published(q, k, temperature):
    """`ctr` of algorithm 1."""
    logits = F.normalize(q, dim=1) @ F.normalize(k, dim=1).T / temperature
    return 2 * temperature * F.cross_entropy(logits, torch.arange(len(q)))


def test_the_loss_is_the_mean_of_both_directions_of_algorithm_1_with_its_gradient(small):
    learner, views = small.make("mocov3", temperature=0.3), small.images(8)
    small.part_encoders(learner)
    loss, hardness, embeddings = learner(views, GROUPS)
    projections = learner.projector(learner.backbone(views))
    q = learner.predictor(projections)
    with torch.no_grad():
        k = learner.momentum_projector(learner.momentum_backbone(views))
    expected = (published(q[:4], k[4:], 0.3) + published(q[4:], k[:4], 0.3)) / 2
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(hardness.mean(), expected.detach())
    torch.testing.assert_close(embeddings, F.normalize(projections, dim=1).detach())
    parameters = [p for p in learner.parameters() if p.requires_grad]
    for found, reference in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(found, reference)


def test_the_momentum_encoder_follows_and_stops_at_the_end(small):
    learner = small.make("mocov3", momentum=0.8)
    small.part_encoders(learner, 1.0)
    weight, bias = learner.projector[0].weight.clone(), learner.backbone[1].bias.clone()
    learner.after_step(0.5)  # half way from 0.8 to 1
    torch.testing.assert_close(learner.momentum_projector[0].weight, weight + 0.9)
    torch.testing.assert_close(learner.momentum_backbone[1].bias, bias + 0.9)
    learner.after_step(1.0)
    torch.testing.assert_close(learner.momentum_backbone[1].bias, bias + 0.9)


def test_the_heads_are_those_of_the_authors(small):
    learner = small.make("mocov3", projector_layers=3)
    kinds = [type(layer).__name__ for layer in learner.projector]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear", "BatchNorm1d"]
    assert len(small.make("mocov3").projector) == 5  # two layers, for residual nets
    assert not learner.projector[-1].affine
    assert [type(layer).__name__ for layer in learner.predictor] == kinds[3:-1]  # MoCo_ResNet's
    transformers = small.make("mocov3", predictor_batchnorm=True).predictor
    assert [type(layer).__name__ for layer in transformers] == kinds[3:] and not transformers[-1].affine
    for head in (learner.projector, learner.predictor, transformers):
        assert all(layer.bias is None for layer in head if isinstance(layer, torch.nn.Linear))


def test_predictions_are_normalised_for_vision_transformers_unless_told_otherwise():
    pytest.importorskip("timm")
    backbone = create_backbone("timm:test_vit", image_size=32)
    for options, length in (({}, 5), ({"predictor_batchnorm": False}, 4)):
        assert len(create_learner("mocov3", backbone, hidden_dim=8, embedding_dim=4, **options).predictor) == length


def test_a_state_from_before_the_choice_goes_on_with_normalised_predictions(small):
    former, learner, views = small.make("mocov3", predictor_batchnorm=True), small.make("mocov3"), small.images(8)
    former(views, GROUPS)
    state = former.state_dict()
    learner.load_state_dict(state)
    assert torch.equal(learner(views, GROUPS).loss, former(views, GROUPS).loss)
    assert learner.state_dict().keys() == state.keys()
    again = small.make("mocov3")
    again.load_state_dict(small.make("mocov3").state_dict())
    assert len(again.predictor) == 4


def test_the_least_loss_of_three_positives(small):
    learner = small.make("mocov3", temperature=0.3)
    assert learner.least_loss(1) == 0
    assert learner.least_loss(3) == pytest.approx(0.6 * math.log(3))


def test_frozen_patches_of_a_vision_transformer_take_no_gradient():
    pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = create_backbone("timm:test_vit", image_size=32)
    learner = create_learner("mocov3", backbone, hidden_dim=8, embedding_dim=4, freeze_patches=True)
    learner(torch.randn(8, 3, 32, 32), GROUPS).loss.backward()
    trained = {name for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert "patch_embed.proj.weight" not in trained
    assert trained == {name for name, _ in backbone.named_parameters() if not name.startswith("patch_embed.")}


def test_a_backbone_without_patches_cannot_freeze_them(small):
    with pytest.raises(ValueError, match="freeze_patches must be False for a Backbone, which takes no patches"):
        small.make("mocov3", freeze_patches=True)
