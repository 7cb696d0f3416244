"""CLSP's loss in the learners that have it: contrast on real views alone, attraction within each latent's views."""

import pytest
import torch
from torch.nn import functional as F

from synthcl.learners import create_backbone, create_learner, learner_names
from synthcl.learners.base import SyntheticTerms

GROUPS = torch.tensor([0, 0, 1, 1, 2, 2, 9, 9, 9, 9, 8, 8, 8, 8])  # three real images, then two latents of four views
ANCHORED = torch.tensor([0, 0, 1, 1, 2, 2, 0, 0, 0, 0, 2, 2, 8, 8])  # ... then variations of two, and a latent
NUM_REAL = 6
WITH_CLSP = {"simclr": 1.0, "supcon": 1.0, "moco": 0.5}


def make(name, **terms):
    torch.manual_seed(0)
    options = {"hidden_dim": 16, "embedding_dim": 8} | ({"queue_size": 5} if name == "moco" else {})
    backbone = create_backbone("resnet10-w8", image_size=8)
    return create_learner(name, backbone, synthetic=SyntheticTerms(**terms), **options).double()


def images(seed=0):
    return torch.randn(len(GROUPS), 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def contrast(query, positive, negatives, temperature):
    logits = torch.stack([query @ other for other in (positive, *negatives)]) / temperature
    return logits.logsumexp(0) - logits[0]


def naive_loss(name, learner, z, views, weight, groups):
    """One view at a time, of embeddings z of all views: InfoNCE of the real ones, squared distances of the others."""
    real = []
    if name == "moco":
        with torch.no_grad():
            keys = F.normalize(learner.momentum_head(learner.momentum_backbone(views[:NUM_REAL])), dim=1)
    for i in range(NUM_REAL):
        partner = i ^ 1
        if name == "moco":
            real.append(contrast(z[i], keys[partner], learner.queue, learner.temperature))
        else:
            others = [z[a] for a in range(NUM_REAL) if a not in (i, partner)]
            real.append(contrast(z[i], z[partner], others, learner.temperature))
    made = []
    for i in range(NUM_REAL, len(groups)):
        others = [p for p in range(len(groups)) if p != i and groups[p] == groups[i]]
        others = [p for p in others if p < NUM_REAL] or others
        made.append(torch.stack([(z[i] - z[p]).square().sum() for p in others]).mean())
    return torch.stack(real).mean() + weight * torch.stack(made).mean()


@pytest.mark.parametrize("groups", [GROUPS, ANCHORED], ids=["latents", "variations"])
@pytest.mark.parametrize("weight", [None, 3.0])
@pytest.mark.parametrize("name", WITH_CLSP)
def test_it_is_the_loss_written_out_with_its_gradient(name, weight, groups):
    learner, views = make(name, loss="clsp", weight=weight), images().requires_grad_()
    loss, hardness, embeddings = learner(views, groups, NUM_REAL)
    (gradient,) = torch.autograd.grad(loss, views)
    again = images().requires_grad_()
    z = F.normalize(learner.head(learner.backbone(again)), dim=1)
    used = WITH_CLSP[name] if weight is None else weight
    expected = naive_loss(name, learner, z, again, used, groups)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, again)[0])
    torch.testing.assert_close(embeddings, z.detach())
    torch.testing.assert_close(hardness[:NUM_REAL].mean() + used * hardness[NUM_REAL:].mean(), loss.detach())


@pytest.mark.parametrize("name", WITH_CLSP)
def test_without_synthetic_views_it_is_the_learners_own_loss(name):
    for num_real in (None, NUM_REAL):
        views, groups = images()[:NUM_REAL], GROUPS[:NUM_REAL]
        losses = [make(name, loss=loss)(views, groups, num_real).loss for loss in ("ppcl", "clsp")]
        torch.testing.assert_close(*losses)


def test_synthetic_views_leave_no_keys_in_the_queue():
    learner = make("moco", loss="clsp")
    learner.eval()  # keys that do not depend on the batch
    with torch.no_grad():
        keys = F.normalize(learner.momentum_head(learner.momentum_backbone(images()[:NUM_REAL])), dim=1)
    learner.train()
    learner.momentum_backbone.eval()
    learner(images(), GROUPS, NUM_REAL)
    learner.after_step(0.5)
    torch.testing.assert_close(learner.queue, keys[-5:])


@pytest.mark.parametrize("name", sorted(set(learner_names()) - set(WITH_CLSP)))
def test_other_learners_refuse_it(name):
    with pytest.raises(ValueError, match=r"does not have the loss 'clsp'.*simclr or moco"):
        make(name, loss="clsp")
