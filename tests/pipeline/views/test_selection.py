"""Operations on some samples of a batch: the same on the host as by a mask, and no more work than was asked for."""

import pytest
import torch

from synthcl.pipeline.views import selection
from synthcl.pipeline.views.selection import apply_where, on_host, per_sample, replaced

SELECTED = {"none": [0, 0, 0, 0], "some": [0, 1, 0, 1], "one": [0, 0, 1, 0], "all": [1, 1, 1, 1]}


@pytest.fixture(params=[True, False], ids=["host", "device"])
def host(request, monkeypatch):
    monkeypatch.setattr(selection, "on_host", lambda tensor: request.param)
    return request.param


@pytest.fixture
def images():
    return torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("selected", SELECTED.values(), ids=SELECTED)
def test_the_selected_are_changed_with_their_own_parameters_and_the_others_stay(host, images, selected):
    seen = []

    def scaled(x, factors, shifts):
        seen.append(len(x))
        return x * per_sample(factors) + per_sample(shifts)

    factors, shifts = torch.tensor([2.0, 3.0, 4.0, 5.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])
    before = images.clone()
    result = apply_where(torch.tensor(selected, dtype=torch.bool), scaled, images, factors, shifts)
    for i, chosen in enumerate(selected):
        expected = before[i] * factors[i] + shifts[i] if chosen else before[i]
        torch.testing.assert_close(result[i], expected)
    assert torch.equal(images, before), "what is given is left alone"
    assert seen == ([sum(selected)] if sum(selected) else []) if host else seen == [4]


def test_replaced_puts_images_in_their_places_and_lets_gradients_through(images):
    index, changed = torch.tensor([3, 0]), torch.rand(2, 3, 2, 2).requires_grad_()
    images.requires_grad_()
    result = replaced(images, index, changed)
    assert torch.equal(result[[3, 0]], changed) and torch.equal(result[1:3], images[1:3])
    (of_images, of_changed) = torch.autograd.grad(result.sum(), (images, changed))
    assert of_images.flatten(1).amax(1).tolist() == [0, 1, 1, 0] and (of_changed == 1).all()


def test_the_host_is_where_values_can_be_looked_at():
    assert on_host(torch.zeros(1)) and not on_host(torch.zeros(1, device="meta"))
