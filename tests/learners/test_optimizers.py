"""Optimizers: LARS against lightly's and written out, what decays, and that a recipe's own numbers are used."""

import copy
import dataclasses

import pytest
import torch
from lightly.utils.lars import LARS as LightlyLARS
from timm.optim.lars import Lars as TimmLARS
from torch import nn

from synthcl.learners import create_backbone, create_learner, learner_names, learner_recipe
from synthcl.learners.optimizers import LARS, SGD, AdamW, create_optimizer, set_learning_rate
from synthcl.learners.recipe import OPTIMIZERS, TRUST


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


@pytest.mark.parametrize(("rate", "clipped"), [(0.1, True), (2.0, False)])
def test_a_clipped_step_of_lars_is_solo_learns(rate, clipped):
    """`lars_lr = min(eta |w| / |g| / lr, 1)` multiplies the gradient, and what momentum makes of that moves by lr."""
    w, gradient = torch.tensor([[3.0, 4.0]], requires_grad=True), torch.tensor([[0.06, -0.08]])
    optimizer = LARS([w], lr=rate, momentum=0.5, trust=0.02, clip=True)
    assert (rate < 0.02 * 5 / 0.1) == clipped
    expected, buffer = w.detach().clone(), torch.zeros(1, 2)
    for lr in (rate, rate, rate / 2, 0.0):
        w.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        buffer = 0.5 * buffer + gradient * min(0.02 * expected.norm() / gradient.norm() / lr if lr else 1, 1)
        expected = expected - lr * buffer
        torch.testing.assert_close(w.detach(), expected)


def test_a_state_from_before_lars_could_clip_goes_on_as_it_began():
    """Such a state has no word of clipping, and the trust that it was trained with."""
    former = dataclasses.replace(OPTIMIZERS["lars"], base_learning_rate=0.5)
    whole, cut = a_net(), a_net()
    first, second = create_optimizer(whole, former), create_optimizer(cut, former)
    train(whole, first, 1)
    train(cut, second, 1)
    saved = copy.deepcopy(second.state_dict())
    for group in saved["param_groups"]:
        del group["clip"]
    third = create_optimizer(cut, dataclasses.replace(former, trust=0.02, clip=True))
    third.load_state_dict(saved)
    assert torch.equal(train(cut, third, 2), train(whole, first, 2))


@pytest.mark.parametrize("cached", [1, 40, 10**6])
def test_lars_updates_every_tensor_however_many_it_takes_at_once(monkeypatch, cached):
    monkeypatch.setattr("synthcl.learners.optimizers.CACHED_NUMBERS", cached)
    parameters = list(a_net().parameters())  # of 35, 7, 7, 7, 21 and 3 numbers
    optimizer = LARS(parameters, lr=2.0, momentum=0.5, weight_decay=0.1)
    expected, momenta = [p.detach().clone() for p in parameters], [0.0] * len(parameters)
    for step in range(2):
        for i, p in enumerate(parameters):
            p.grad = torch.full_like(p, 1.0 + i + step)
            slope = p.grad + 0.1 * expected[i]
            size = expected[i].norm()
            momenta[i] = 0.5 * momenta[i] + slope * (TRUST * size / slope.norm() if size > 0 else 1.0)
            expected[i] = expected[i] - 2.0 * momenta[i]
        optimizer.step()
    for p, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.detach(), value)


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


class NaiveLARS(torch.optim.Optimizer):
    """Algorithm 1 of arXiv 1708.03888, a tensor after the other."""

    def __init__(self, params, lr, momentum, weight_decay):
        numbers = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": TRUST, "adapt": True}
        super().__init__(params, numbers)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                g = w.grad + group["weight_decay"] * w
                if group["adapt"] and w.norm() > 0 and g.norm() > 0:
                    g = g * (TRUST * w.norm() / g.norm())
                v = self.state[w].get("momentum_buffer", torch.zeros_like(w))
                self.state[w]["momentum_buffer"] = group["momentum"] * v + g
                w -= group["lr"] * self.state[w]["momentum_buffer"]


def plain(optimizer):
    """The same optimizer a tensor after the other."""
    numbers = ("lr", "momentum", "betas", "weight_decay", "adapt", "lr_scale")
    groups = [{"params": g["params"], **{n: g[n] for n in numbers if n in g}} for g in optimizer.param_groups]
    rest = {"lr": 1.0, "weight_decay": 0.0}
    if isinstance(optimizer, LARS):
        return NaiveLARS(groups, momentum=0.0, **rest)
    if isinstance(optimizer, SGD):
        return torch.optim.SGD(groups, foreach=False, fused=False, **rest)
    return torch.optim.AdamW(groups, foreach=False, fused=False, **rest)


def convolutional():
    """With a layout of its own; without a bias before normalisation, whose gradient is nothing but rounding."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(64, 5)).to(memory_format=torch.channels_last)


def see(net, optimizer, steps, seed=1):
    """Steps on images; the weights after them. A layer is left out of the first."""
    torch.manual_seed(seed)
    for step in range(steps):
        optimizer.zero_grad()
        net(torch.randn(8, 3, 8, 8)).square().mean().backward()
        if step == 0 and seed == 1:
            net[3].weight.grad = None
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_steps_are_the_plain_ones_to_rounding(name):
    mine, theirs = convolutional(), convolutional()
    recipe = dataclasses.replace(OPTIMIZERS[name], base_learning_rate=0.01, weight_decay=0.1, decay_norms=False)
    optimizer = create_optimizer(mine, recipe)
    expected = see(theirs, plain(create_optimizer(theirs, recipe)), 3)
    found = see(mine, optimizer, 3)
    assert (found - torch.cat([p.flatten() for p in convolutional().parameters()])).abs().max() > 1e-4
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    if name != "lars":
        assert all(group["fused"] for group in optimizer.param_groups)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("fused_first", [True, False])
def test_a_state_goes_on_fused_or_not(name, fused_first):
    """Checkpoints of the plain optimizers hold no momentum of a tensor that has had no gradient yet; and what is in
    one may lie in memory otherwise."""
    recipe = dataclasses.replace(OPTIMIZERS[name], base_learning_rate=0.01, weight_decay=0.1)
    ways = [create_optimizer, lambda net, recipe: plain(create_optimizer(net, recipe))]
    before, after = ways if fused_first else ways[::-1]
    net = convolutional()
    first = before(net, recipe)
    see(net, first, 1)
    cut = copy.deepcopy(net)
    second = after(cut, recipe)
    state = copy.deepcopy(first.state_dict())
    for values in state["state"].values():
        values.update({key: value.contiguous() for key, value in values.items() if not fused_first})
    second.load_state_dict(state)
    torch.testing.assert_close(see(cut, second, 2, seed=2), see(net, first, 2, seed=2), rtol=1e-5, atol=1e-6)
    if name != "lars" and not fused_first:
        assert all(group["fused"] for group in second.param_groups)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [False, True])
def test_a_step_that_overflows_in_fp16_changes_nothing(name, clip):
    """The first one too; those after it are those of a training without."""
    recipe = dataclasses.replace(OPTIMIZERS[name], base_learning_rate=0.01, weight_decay=0.1)
    found = []
    for overflows in (True, False):
        net = convolutional()
        optimizer = create_optimizer(net, recipe)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=10**6)
        for step in range(0 if overflows else 1, 3):
            optimizer.zero_grad()
            torch.manual_seed(step)
            loss = net.eval()(torch.randn(8, 3, 8, 8)).square().mean()
            scaler.scale(loss * (torch.inf if step == 0 else 1)).backward()
            if clip:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
        assert scaler.get_scale() == (2.0 if overflows else 4.0)
        found.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)
    assert isinstance(optimizer, {"sgd": SGD, "adamw": AdamW, "lars": LARS}[name])
