"""Optimizers: LARS against lightly's and written out, what decays, and that a recipe's own numbers are used."""

import copy
import dataclasses

import pytest
import torch
from lightly.utils.lars import LARS as LightlyLARS
from timm.optim.lars import Lars as TimmLARS
from torch import nn

from synthcl.learners import create_backbone, create_learner, learner_names, learner_recipe
from synthcl.learners.optimizers import LARS, TRUST, create_optimizer, set_learning_rate
from synthcl.learners.recipe import OPTIMIZERS


def a_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 3)).double()


def train(net, optimizer, steps=5):
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        (net(torch.randn(16, 5, dtype=torch.float64)) - 1).square().mean().backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_lars_takes_the_steps_of_lightlys_in_slow_motion():
    """lightly has the decay beside the norm of the gradient, not inside it: the two meet where it is small."""
    mine, theirs = a_net(), a_net()
    options = {"lr": 0.5, "momentum": 0.9, "weight_decay": 1e-9}
    got = train(mine, LARS(mine.parameters(), **options))
    wanted = train(theirs, LightlyLARS(theirs.parameters(), trust_coefficient=TRUST, eps=0.0, **options))
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-9)


def test_lars_takes_the_steps_of_timms():
    """timm adds the norms of gradient and decay instead of taking that of their sum: without decay they are one."""
    mine, theirs = a_net(), a_net()
    got = train(mine, LARS(mine.parameters(), lr=0.5, momentum=0.9, weight_decay=0.0))
    options = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.0, "trust_coeff": TRUST, "eps": 0.0, "always_adapt": True}
    wanted = train(theirs, TimmLARS(theirs.parameters(), **options))
    torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)
    assert (got - torch.cat([p.detach().flatten() for p in a_net().parameters()])).abs().max() > 1e-4


def test_a_step_of_lars_is_its_formula():
    w, zero = torch.tensor([[3.0, 4.0]], requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    gradient = torch.tensor([[0.6, -0.8]])
    optimizer = LARS([w, zero], lr=2.0, momentum=0.5, weight_decay=0.1)
    expected, expected_zero, buffers = w.detach().clone(), zero.detach().clone(), [0.0, 0.0]
    for _ in range(2):
        w.grad = zero.grad = gradient.clone()
        optimizer.step()
        slope = gradient + 0.1 * expected
        buffers[0] = 0.5 * buffers[0] + slope * TRUST * expected.norm() / slope.norm()
        slope = gradient + 0.1 * expected_zero
        rate = 1.0 if expected_zero.norm() == 0 else TRUST * expected_zero.norm() / slope.norm()
        buffers[1] = 0.5 * buffers[1] + slope * rate
        expected, expected_zero = expected - 2.0 * buffers[0], expected_zero - 2.0 * buffers[1]
    torch.testing.assert_close(w.detach(), expected)
    torch.testing.assert_close(zero.detach(), expected_zero)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("decay_norms", [True, False])
def test_vectors_decay_or_not(name, decay_norms):
    """With a gradient of zero nothing but decay moves the weights."""
    net = a_net()
    recipe = dataclasses.replace(OPTIMIZERS[name], base_learning_rate=0.1, weight_decay=0.1, decay_norms=decay_norms)
    optimizer = create_optimizer(net, recipe)
    before = {key: p.detach().clone() for key, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for key, p in net.named_parameters():
        moves = not torch.equal(before[key], p)
        assert moves == (before[key].norm() > 0 and (p.dim() > 1 or decay_norms)), key


@pytest.mark.parametrize("name", learner_names())
def test_the_recipe_of_a_learner_is_what_it_is_trained_with(name):
    learner = create_learner(name, create_backbone("resnet10-w8", image_size=8))
    recipe = learner_recipe(name)
    groups = create_optimizer(learner, recipe).param_groups
    assert (groups[0]["lr"], groups[0]["weight_decay"], groups[0]["momentum"]) == (
        recipe.base_learning_rate, recipe.weight_decay, recipe.momentum,
    )  # fmt: skip
    assert sum(len(group["params"]) for group in groups) == sum(p.requires_grad for p in learner.parameters())
    assert recipe.with_optimizer(None) is recipe and recipe.with_optimizer("lars").optimizer == "lars"


def test_a_saved_state_goes_on():
    recipe = dataclasses.replace(OPTIMIZERS["lars"], base_learning_rate=0.5)
    whole, cut = a_net(), a_net()
    first, second = create_optimizer(whole, recipe), create_optimizer(cut, recipe)
    train(whole, first, 1)
    train(cut, second, 1)
    third = create_optimizer(cut, recipe)
    third.load_state_dict(copy.deepcopy(second.state_dict()))
    assert torch.equal(train(cut, third, 2), train(whole, first, 2))


def test_an_unknown_optimizer_is_told_from_those_there_are():
    with pytest.raises(ValueError, match="unknown optimizer 'adam'; choose sgd, lars or adamw"):
        create_optimizer(a_net(), dataclasses.replace(OPTIMIZERS["sgd"], optimizer="adam"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scales_multiply_the_rate_of_the_parameters_that_they_name(name):
    """Each group has one scale and one kind of decay, and every parameter is in one."""
    net = a_net()
    recipe = dataclasses.replace(OPTIMIZERS[name], decay_norms=False)
    optimizer = create_optimizer(net, recipe, {"0.weight": 0.25, "1.weight": 0.25, "1.bias": 0.5})
    names = {id(p): key for key, p in net.named_parameters()}
    plain = {id(p): group for group in create_optimizer(net, recipe).param_groups for p in group["params"]}
    set_learning_rate(optimizer, 2.0)
    rates = {}
    for group in optimizer.param_groups:
        for p in group["params"]:
            assert names[id(p)] not in rates
            rates[names[id(p)]] = group["lr"]
            others = {"params", "lr", "lr_scale", "initial_lr"}
            assert {k: v for k, v in group.items() if k not in others} == {
                k: v for k, v in plain[id(p)].items() if k not in others
            }
    assert rates == {"0.weight": 0.5, "0.bias": 2, "1.weight": 0.5, "1.bias": 1, "3.weight": 2, "3.bias": 2}


def test_without_scales_groups_are_as_they_were():
    optimizer = create_optimizer(a_net(), OPTIMIZERS["sgd"])
    assert all("lr_scale" not in group for group in optimizer.param_groups)
