import pytest
import torch

from synthcl.pipeline.views.bounds import cut, trimmed

VALUES = torch.tensor([-1.0, -1e-8, 0.0, 0.5, 1.0, 1 + 1e-6, 2.0, torch.nan])
INSIDE = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("function", [cut, trimmed])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_those_of_clamp(function, dtype):
    values = VALUES.to(dtype)
    expected = values.clamp(0, 1)
    assert torch.equal(function(values.clone().requires_grad_()).nan_to_num(7), expected.nan_to_num(7))
    assert torch.equal(function(values.clone()).nan_to_num(7), expected.nan_to_num(7))


@pytest.mark.parametrize(("function", "expected"), [(cut, INSIDE), (trimmed, torch.ones(8))])
def test_gradient_at_the_bounds_and_beyond(function, expected):
    values = VALUES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(values).sum(), values)
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize("function", [cut, trimmed])
def test_where_no_gradient_is_asked_nothing_is_copied(function):
    values = VALUES.clone()
    assert function(values) is values
