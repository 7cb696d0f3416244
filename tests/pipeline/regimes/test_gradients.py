"""Functions whose backward pass differs from their forward pass."""

import pytest
import torch

from synthcl.pipeline.regimes.gradients import quantize, reverse_gradient, unscaled


def test_reversal_keeps_the_images_and_turns_the_gradient():
    images = torch.rand(2, 3, 4, 4, requires_grad=True)
    weights = torch.randn(2, 3, 4, 4)
    out = reverse_gradient(images, 0.3)
    assert torch.equal(out, images)
    (out * weights).sum().backward()
    assert torch.equal(images.grad, -0.3 * weights)


def test_quantized_images_are_what_eight_bits_store():
    images = torch.cat([torch.linspace(-0.2, 1.2, 1000), torch.arange(256) / 255])
    stored = (images * 255).round().clamp(0, 255).to(torch.uint8)
    assert torch.equal(quantize(images), stored.float() / 255)


def test_the_gradient_passes_quantization_straight_through():
    images = torch.rand(7, requires_grad=True)
    weights = torch.randn(7)
    (quantize(images) * weights).sum().backward()
    assert torch.equal(images.grad, weights)


@pytest.mark.parametrize("bad", [None, torch.inf, torch.nan])
def test_a_scaled_gradient_is_told_without_its_scale_or_not_at_all(bad):
    gradient = torch.randn(2, 3, 4, 4)
    assert unscaled(gradient, None) is gradient
    scaled = gradient * 1024
    if bad is not None:
        scaled[1, 2, 3, 0] = bad
    assert torch.equal(unscaled(scaled, torch.tensor(1024.0)), gradient if bad is None else torch.zeros_like(gradient))
