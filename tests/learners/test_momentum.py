"""Momentum encoders."""

import pytest
import torch
from torch import nn

from synthcl.learners.momentum import cosine_momentum, follow, momentum_copy


def test_momentum_goes_along_a_cosine():
    assert cosine_momentum(0.9, 1.0, 0.0) == pytest.approx(0.9)
    assert cosine_momentum(0.9, 1.0, 0.5) == pytest.approx(0.95)
    assert cosine_momentum(0.9, 1.0, 1.0) == 1.0
    assert cosine_momentum(0.99, 0.99, 0.3) == 0.99


def test_a_momentum_of_one_keeps_and_of_zero_copies():
    module = nn.Linear(2, 2)
    copied = momentum_copy(module)
    assert not any(p.requires_grad for p in copied.parameters())
    with torch.no_grad():
        module.weight += 1
    kept = copied.weight.clone()
    follow(copied, module, 1.0)
    assert torch.equal(copied.weight, kept)
    follow(copied, module, 0.0)
    assert torch.equal(copied.weight, module.weight)
