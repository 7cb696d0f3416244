"""Our MoCo with what lightly's does otherwise is lightly's, to the loss and the memory bank."""

import importlib
from pathlib import Path

import pytest
import torch

from synthcl.learners import create_backbone

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
N = 8


@pytest.fixture
def ours(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("lightlys_moco").LightlysMoCo


@pytest.fixture
def theirs(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("lightly_methods").LightlyMoCo


def make(learner):
    torch.manual_seed(0)
    return learner(create_backbone("resnet10-w8", image_size=16))


def test_losses_and_bank_are_lightlys(ours, theirs):
    mine, other = make(ours), make(theirs)
    other.backbone.load_state_dict(mine.backbone.state_dict())
    other.slow_backbone.load_state_dict(mine.backbone.state_dict())
    for head in (other.head, other.slow_head):
        head.load_state_dict({f"layers.{name}": value for name, value in mine.head.state_dict().items()}, strict=True)
    bank = other.criterion.memory_bank
    bank.bank = mine.queue.clone()
    optimizers = [torch.optim.SGD([p for p in one.parameters() if p.requires_grad], 0.1) for one in (mine, other)]
    for step in range(3):
        first, second = torch.randn(2, N, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        # lightly moves the momentum encoder before a step and ours after it, which is the same.
        losses = [mine(torch.cat((first, second)), torch.arange(N).repeat(2)).loss, other(first, second)]
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
        for loss, optimizer in zip(losses, optimizers, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        mine.after_step(0.5)
        # In a step both take up the same keys, each in an order of its own.
        rows = [one[2 * N * step : 2 * N * (step + 1)].sum(dim=0) for one in (mine.queue, bank.bank)]
        torch.testing.assert_close(*rows, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("different", ["statistics_apart", "keys_at_once"])
def test_each_difference_makes_one(ours, different):
    views, groups = torch.randn(2 * N, 3, 16, 16), torch.arange(N).repeat(2)
    torch.manual_seed(0)
    whole, less = make(ours), make(lambda backbone: ours(backbone, **{different: False}))
    assert whole(views, groups).loss != less(views, groups).loss


def test_without_both_it_is_ours(ours):
    from synthcl.learners.moco import MoCo

    views, groups = torch.randn(2 * N, 3, 16, 16), torch.arange(N).repeat(2)
    plain, less = make(MoCo), make(lambda backbone: ours(backbone, statistics_apart=False, keys_at_once=False))
    assert torch.equal(plain(views, groups).hardness, less(views, groups).hardness)
