"""The moving average of weights, against plain sums."""

import pytest
import torch
from torch import nn

from synthcl.generators.ema import MovingAverage, frozen_copy


def build(warmup: bool = False) -> tuple[nn.Module, nn.Module, MovingAverage]:
    """A model that has moved since its average was taken, the average, and what updates it."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    average = frozen_copy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model, average, MovingAverage(average.parameters(), model.parameters(), warmup=warmup)


@pytest.mark.parametrize("step", [0, 1, 8, 10**6])
@pytest.mark.parametrize("decay", [0.0, 0.75, 0.999, 1.0])
@pytest.mark.parametrize("warmup", [False, True])
def test_an_update_moves_the_average_in_place_by_a_decay_of_the_step_alone(step, decay, warmup):
    model, average, update = build(warmup)
    wanted = min(decay, (2 + step) / (11 + step)) if warmup else decay
    expected = wanted * average.weight + (1 - wanted) * model.weight
    weight = average.weight
    update.update(step, decay)
    assert average.weight is weight and not weight.requires_grad
    torch.testing.assert_close(weight, expected)


def test_a_decay_of_one_stands_still_and_of_zero_follows():
    model, average, update = build()
    before = average.weight.clone()
    update.update(0, 1.0)
    assert torch.equal(average.weight, before)
    update.update(1, 0.0)
    torch.testing.assert_close(average.weight, model.weight, rtol=0, atol=1e-6)


def test_a_frozen_copy_stays_as_it_is():
    model, average, _ = build()
    assert not average.training and not any(p.requires_grad for p in average.parameters())
    assert model.weight.requires_grad and not torch.equal(model.weight, average.weight)
