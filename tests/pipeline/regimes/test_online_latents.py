"""The online regime with hardness on latents: they keep their length, and what is moved is harder."""

import copy
import math

import pytest
import torch
from stand_ins.joint_training import SIZE, a_learner, regime, run_steps

from synthcl.learners import create_backbone, create_learner
from synthcl.pipeline.configs.joint import OBJECTIVES
from synthcl.pipeline.regimes import online as online_module
from synthcl.pipeline.regimes.base import unit_interval
from synthcl.pipeline.regimes.gradients import quantize
from synthcl.pipeline.regimes.hardness import against_real, alignment


def hardness_of(objective, one, learner, latents):
    """What G raises at step 0, of samples of these latents, one image each."""
    images = one.trainer.generator(latents)
    samples = [quantize(unit_interval(images))]
    batch = online_module.assemble(one.real, one.views, one.share, 0, one.real.images(0), samples)
    output = learner(batch.views, batch.groups, batch.num_real)
    if objective == "loss":
        return output.loss.item()
    own = output.embeddings[batch.num_real :].unflatten(0, (len(latents), -1))
    if objective == "alignment":
        return alignment(own, own).mean().item()
    return against_real(own, own, output.embeddings[: batch.num_real], learner.temperature).mean().item()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("pairs", [True, False])
def test_moved_latents_keep_their_length_and_move_as_far_as_asked(objective, pairs):
    one, learner = regime(on="latents", latent_radius=0.4, pairs=pairs, objective=objective), a_learner()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    draws = one.key.child(0).at(torch.arange(4))
    latents = one.trainer.generator.sample_latents(4, draws=draws)
    moved = one.harder(0, latents, draws, one.real.images(0), learner)
    torch.testing.assert_close(moved.norm(dim=1), latents.norm(dim=1))
    # z + r |z| u, brought back: at most arctan(r) from z, and that where u is at a right angle to z.
    angles = torch.nn.functional.cosine_similarity(moved, latents).arccos()
    assert (angles > 0.1).all() and (angles <= math.asin(0.4) + 1e-3).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.state_dict().items())
    assert all(p.grad is None for p in [*learner.parameters(), *one.trainer.generator.parameters()])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_latents_are_moved_by_a_gradient_that_autocast_does_not_reach(objective):
    one, learner, forward, backward = regime(on="latents", pairs=False, objective=objective), a_learner(), [], []
    one.autocast = lambda: torch.autocast("cpu", dtype=torch.bfloat16)

    def watch(images):
        if images.requires_grad:
            images.register_hook(lambda _: backward.append(torch.is_autocast_enabled("cpu")))

    one.trainer.generator.register_forward_hook(lambda module, given, images: watch(images))
    learner.backbone.register_forward_hook(lambda *_: forward.append(torch.is_autocast_enabled("cpu")))
    one.batch(0, learner)
    assert forward and all(forward) and backward and not any(backward)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_moved_latents_are_harder_and_against_the_gradient_easier(objective):
    one, learner = regime(on="latents", latent_radius=0.05, pairs=False, objective=objective), a_learner()
    draws = one.key.child(0).at(torch.arange(4))
    latents = one.trainer.generator.sample_latents(4, draws=draws)
    moved = one.harder(0, latents, draws, one.real.images(0), learner)
    easier, same, harder = (hardness_of(objective, one, learner, z) for z in (2 * latents - moved, latents, moved))
    assert easier < same < harder


def test_what_the_guard_leaves_is_left_of_the_radius():
    learner, held, near = a_learner(), regime(on="latents", latent_radius=0.4), regime(on="latents", latent_radius=0.1)
    held.guard.factor = torch.tensor(0.25)
    torch.testing.assert_close(held.batch(0, learner).latents, near.batch(0, learner).latents)


def test_moving_latents_leaves_statistics_and_queue_to_the_step():
    """With batch normalisation, and a queue for the views of two steps and more."""
    torch.manual_seed(1)
    backbone = create_backbone("resnet10-w8", image_size=SIZE)
    learner = create_learner("moco", backbone, hidden_dim=16, embedding_dim=8, queue_size=100)
    plain = copy.deepcopy(learner)
    batch = regime(on="latents").batch(0, learner)
    for each in (learner, plain):
        each(batch.views, batch.groups, batch.num_real)
        each.after_step(0.5)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(learner.state_dict()[name], tensor), name


def test_the_batch_shows_the_moved_latents_and_the_weights_follow_realism_alone():
    one, plain, learner = regime(on="latents"), regime(hard=False), a_learner()
    batch = one.batch(0, learner)
    assert not torch.equal(batch.samples[0], plain.batch(0, learner).samples[0])
    (row,) = run_steps(one, learner, 1)
    assert "hard_ratio" not in row and "hard_guard" in row


def test_latents_stay_where_they_are_at_the_start_of_the_ramp_and_after_the_freeze():
    learner = a_learner()
    plain = regime(hard=False).batch(0, learner).samples[0]
    for options in ({"ramp_steps": 5}, {"last_hard_step": 0}):
        torch.testing.assert_close(regime(on="latents", **options).batch(0, learner).samples[0], plain)
