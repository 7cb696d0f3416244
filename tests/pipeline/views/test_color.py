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


def slopes(function, images, step=1e-6):
    """Central differences in each value, (values of the result, values of the images)."""
    moves = step * torch.eye(images.numel(), dtype=images.dtype).view(-1, *images.shape)
    return torch.stack([(function(images + m) - function(images - m)).flatten() / (2 * step) for m in moves], dim=1)


@pytest.mark.parametrize("shift", [0.03, -0.03, 0.3, -0.45])
@pytest.mark.parametrize("pixel", [(0.8, 0.3, 0.3), (1.0, 0.0, 0.0), (0.3, 0.8, 0.8), (0.8, 0.8, 0.3), (0.3, 0.8, 0.3)])
def test_gradient_of_hue_where_channels_are_equal(pixel, shift):
    images = torch.tensor(pixel, dtype=torch.float64).view(1, 3, 1, 1)

    def turned(x):
        return shift_hue(x, torch.tensor([shift], dtype=x.dtype))

    jacobian = torch.autograd.functional.jacobian(turned, images).view(3, 3)
    torch.testing.assert_close(jacobian, slopes(turned, images), rtol=0, atol=1e-4)


def test_gradient_of_hue_on_images_of_8_bits():
    levels = torch.randint(0, 6, (2, 3, 4, 4), generator=torch.Generator().manual_seed(5)).double() / 5
    levels = torch.where(levels.amax(1, keepdim=True) > levels.amin(1, keepdim=True), levels, levels.new_zeros(()))
    levels = torch.where(levels.sum(1, keepdim=True) > 0, levels, torch.eye(3)[0].double().view(3, 1, 1))
    function = OPERATIONS["hue"]
    jacobian = torch.autograd.functional.jacobian(function, levels).view(96, 96)
    torch.testing.assert_close(jacobian, slopes(function, levels), rtol=0, atol=1e-4)


def test_asking_for_a_gradient_changes_no_bit_of_a_hue(images):
    plain = shift_hue(images, SHIFTS)
    assert torch.equal(shift_hue(images.clone().requires_grad_(), SHIFTS), plain)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_blend_that_cuts_nothing_passes_the_gradient_of_black_and_white(value):
    images = torch.full((1, 3, 4, 3), value, requires_grad=True)
    factors = torch.ones(1)
    (gradient,) = torch.autograd.grad(blend(images, factors, 0 * factors, 0 * factors).sum(), images)
    assert torch.equal(gradient, torch.ones_like(images))


def test_gradient_of_hue_on_grey_is_that_of_the_identity_in_brightness():
    images = torch.full((2, 3, 4, 3), 0.5, requires_grad=True)
    direction = torch.ones_like(images)
    _, change = torch.autograd.functional.jvp(OPERATIONS["hue"], images, direction)
    torch.testing.assert_close(change, direction)
