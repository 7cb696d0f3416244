"""How synthetic views enter the loss: weights, statistics of their own, and whose negatives they are."""

import math

import pytest
import torch
from torch import nn

from synthcl.learners import create_learner, learner_names
from synthcl.learners.base import SyntheticTerms
from synthcl.learners.losses import ppcl

NUM_REAL = 6
GROUPS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
SMALL = {"hidden_dim": 8, "embedding_dim": 5}


class Backbone(nn.Module):
    """With batch normalisation, whose statistics tell what was seen together."""

    num_features = 6

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3 * 4 * 4, 6)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        return self.norm(self.net(x.flatten(1)))


def views(seed=0):
    made = torch.rand(len(GROUPS), 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    made[NUM_REAL:] += 3.0  # another kind of image, as a drifting generator's
    return made


def build(name, **terms):
    torch.manual_seed(0)
    return create_learner(name, Backbone(), synthetic=SyntheticTerms(**terms), **SMALL)


@pytest.mark.parametrize("name", learner_names())
def test_all_views_alike_is_what_no_terms_are(name):
    plain, told = build(name), build(name)
    assert torch.equal(plain(views(), GROUPS).loss, told(views(), GROUPS, NUM_REAL).loss)


@pytest.mark.parametrize("name", [n for n in learner_names() if n not in ("barlow", "vicreg")])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_weight_is_that_of_the_mean_over_synthetic_views(name, weight):
    output = build(name, weight=weight)(views(), GROUPS, NUM_REAL)
    real, made = output.hardness[:NUM_REAL].mean(), output.hardness[NUM_REAL:].mean()
    torch.testing.assert_close(output.loss.detach(), real + weight * made)
    alone = build(name, weight=weight)(views()[:NUM_REAL], GROUPS[:NUM_REAL], NUM_REAL)
    torch.testing.assert_close(alone.loss.detach(), alone.hardness.mean())


@pytest.mark.parametrize("name", ["barlow", "vicreg"])
def test_losses_that_are_no_mean_over_views_have_no_weight(name):
    with pytest.raises(ValueError, match="cannot weight synthetic views"):
        build(name, weight=0.5)


@pytest.mark.parametrize("name", learner_names())
@pytest.mark.parametrize("num_parts", [1, 2])
def test_own_statistics_are_those_of_two_batches(name, num_parts):
    torch.manual_seed(0)
    terms = SyntheticTerms(own_statistics=True)
    learner = create_learner(name, Backbone(), synthetic=terms, num_parts=num_parts, **SMALL)
    reference = build(name)
    reference.load_state_dict(learner.state_dict())
    # Three real groups do not part in two; four do.
    groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5])
    seen = torch.cat((views()[:NUM_REAL], views(1)[:2], views()[NUM_REAL:]))
    learner(seen, groups, 8)
    head = learner.head if hasattr(learner, "head") else learner.projector
    if num_parts == 1:
        found = learner.project(learner.backbone, head, seen, groups, 8)
        theirs = reference.head if hasattr(reference, "head") else reference.projector
        apart = [theirs(reference.backbone(part)) for part in (seen[:8], seen[8:])]
        torch.testing.assert_close(found, torch.cat(apart))
    # What evaluation uses has seen the real views alone: those of the other kind lie far away.
    fresh = build(name)
    fresh.load_state_dict(reference.state_dict())
    fresh.backbone.norm.reset_running_stats()
    expected = nn.Linear(48, 6)
    expected.load_state_dict(learner.backbone.net.state_dict())
    real_mean = expected(seen[:8].flatten(1)).mean(0)
    made_mean = expected(seen[8:].flatten(1)).mean(0)
    moved = learner.backbone.norm.running_mean
    along = (made_mean - real_mean).sign()
    assert ((moved - real_mean) * along).mean() < 0.5 * (made_mean - real_mean).abs().mean()


@pytest.mark.parametrize("name", ["byol", "simsiam", "mocov3", "nnclr"])
def test_own_statistics_are_the_predictors_too(name):
    learner = build(name, own_statistics=True)
    alone = build(name)
    alone.load_state_dict(learner.state_dict())
    output, expected = learner(views(), GROUPS, NUM_REAL), alone(views()[:NUM_REAL], GROUPS[:NUM_REAL])
    # Synthetic views leave no statistics behind, and those of real ones are what they are without them.
    buffers, kept = dict(learner.predictor.named_buffers()), dict(alone.predictor.named_buffers())
    assert any("running_mean" in key for key in kept)
    for key, buffer in kept.items():
        torch.testing.assert_close(buffers[key], buffer, msg=key)
    if name in ("byol", "simsiam"):  # whose losses compare the views of a group alone
        torch.testing.assert_close(output.hardness[:NUM_REAL], expected.hardness)


def test_without_synthetic_negatives_real_views_meet_real_ones_alone():
    torch.manual_seed(1)
    embeddings = nn.functional.normalize(torch.randn(len(GROUPS), 5), dim=1)
    found = ppcl(embeddings, GROUPS, 0.3, NUM_REAL)
    for i, group in enumerate(GROUPS):
        candidates = [a for a in range(len(GROUPS)) if a != i and (i >= NUM_REAL or a < NUM_REAL)]
        similar = {a: math.exp(float(embeddings[i] @ embeddings[a]) / 0.3) for a in candidates}
        positives = [a for a in candidates if GROUPS[a] == group]
        loss = -sum(math.log(similar[p] / sum(similar.values())) for p in positives) / len(positives)
        assert found[i].item() == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(found[NUM_REAL:], ppcl(embeddings, GROUPS, 0.3)[NUM_REAL:])


def test_embeddings_are_what_the_loss_compares():
    for name in learner_names():
        learner = build(name).eval()
        torch.testing.assert_close(learner.embed(views()).detach(), learner(views(), GROUPS).embeddings)
