"""Colour operations against torchvision's, sample by sample, and their gradients."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from synthcl.pipeline.views.color import blend, grayscale, luminance, shift_hue, solarize

N = 12
FACTORS = torch.linspace(0.0, 2.0, N)
SHIFTS = torch.linspace(-0.5, 0.5, N)
ZEROS = torch.zeros(N)


@pytest.fixture
def images():
    """Random colours, with rows of grey, black, white, pure hues and 8-bit values, where ties are."""
    images = torch.rand(N, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1] = torch.tensor([0.0, 1.0]).repeat(4)
    images[:, :, 2, :6] = torch.tensor([[1, 1, 0, 0, 0, 1], [0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1.0]])
    images[:, :, 3:6] = (images[:, :, 3:6] * 8).round() / 8
    return images


def each(function, images, *parameters):
    return torch.stack([function(x, *(float(p[i]) for p in parameters)) for i, x in enumerate(images)])


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


def test_brightness(images):
    close(blend(images, FACTORS, ZEROS, ZEROS), each(tv.adjust_brightness, images, FACTORS))


def test_contrast(images):
    close(blend(images, FACTORS, ZEROS, 1 - FACTORS), each(tv.adjust_contrast, images, FACTORS))


def test_saturation(images):
    close(blend(images, FACTORS, 1 - FACTORS, ZEROS), each(tv.adjust_saturation, images, FACTORS))


def test_hue(images):
    close(shift_hue(images, SHIFTS), each(tv.adjust_hue, images, SHIFTS))


def test_hue_of_no_turn_and_of_a_whole_one_is_the_image(images):
    close(shift_hue(images, ZEROS), images)
    close(shift_hue(images, ZEROS + 1), images)


def test_hue_keeps_almost_grey_pixels(images):
    almost = 0.3 + torch.rand(images.shape, generator=torch.Generator().manual_seed(1)) * 1e-7
    close(shift_hue(almost, SHIFTS), almost)


def test_grayscale(images):
    close(grayscale(images), tv.rgb_to_grayscale(images, num_output_channels=3))
    assert luminance(images).shape == (N, 1, 9, 8)


def test_solarize(images):
    close(solarize(images, 0.5), tv.solarize(images, 0.5))


OPERATIONS = {
    "brightness": lambda x: blend(x, torch.tensor([0.7, 1.4]).to(x), x.new_zeros(2), x.new_zeros(2)),
    "contrast": lambda x: blend(x, torch.tensor([0.7, 1.4]).to(x), x.new_zeros(2), torch.tensor([0.3, -0.4]).to(x)),
    "saturation": lambda x: blend(x, torch.tensor([0.7, 1.4]).to(x), torch.tensor([0.3, -0.4]).to(x), x.new_zeros(2)),
    "hue": lambda x: shift_hue(x, torch.tensor([0.13, -0.4]).to(x)),
    "grayscale": grayscale,
    "solarize": lambda x: solarize(x, 0.5),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_is_that_of_finite_differences(name):
    images = torch.rand(2, 3, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(OPERATIONS[name], images.requires_grad_())


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-9, 0.5, 1 - 1e-7, 1.0])
def test_gradient_is_finite_on_grey_and_next_to_it(name, value):
    images = torch.full((2, 3, 4, 3), value)
    images[1, 0] = min(1.0, value * (1 + 1e-6))
    images[1, 2, 0] = value * (1 - 1e-6)
    images.requires_grad_()
    result = OPERATIONS[name](images)
    (gradient,) = torch.autograd.grad(result.sum() + (result**2).sum(), images)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 50


def test_gradient_of_hue_on_grey_is_that_of_the_identity_in_brightness():
    images = torch.full((2, 3, 4, 3), 0.5, requires_grad=True)
    direction = torch.ones_like(images)
    _, change = torch.autograd.functional.jvp(OPERATIONS["hue"], images, direction)
    torch.testing.assert_close(change, direction)
