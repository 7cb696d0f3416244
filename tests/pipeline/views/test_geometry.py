"""Crop, flip and blur as linear maps, against torchvision's, sample by sample."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from synthcl.pipeline.views.geometry import blur_weights, resize_weights, separable

# top, left, height, width in an image of 23 by 30: enlarged, reduced, the whole, one pixel, a row.
CROPS = torch.tensor(
    [[3, 5, 7, 9], [0, 0, 23, 30], [1, 2, 20, 25], [22, 29, 1, 1], [4, 0, 1, 30], [6, 7, 11, 11]], dtype=torch.float32
)
FLIPS = torch.tensor([True, False, True, False, True, False])


@pytest.fixture
def images():
    return torch.rand(len(CROPS), 3, 23, 30, generator=torch.Generator().manual_seed(0))


def crop(images, size, flip=FLIPS):
    crops = CROPS.to(images.dtype)
    rows = resize_weights(crops[:, 0], crops[:, 2], None, 23, size)
    columns = resize_weights(crops[:, 1], crops[:, 3], flip, 30, size)
    return separable(images, rows, columns)


@pytest.mark.parametrize("size", [1, 4, 11, 16, 40])
def test_crop_and_flip_are_torchvisions(images, size):
    for ours, image, box, flip in zip(crop(images, size), images, CROPS.int().tolist(), FLIPS, strict=True):
        theirs = tv.resized_crop(image, *box, [size, size], antialias=True)
        torch.testing.assert_close(ours, theirs.flip(-1) if flip else theirs, rtol=0, atol=1e-5)


def test_a_crop_of_the_size_of_the_view_copies_pixels(images):
    assert torch.equal(crop(images, 11)[5], images[5, :, 6:17, 7:18])


def test_reduction_does_not_alias():
    """Stripes too fine for the view become their mean; sampling at points would keep them."""
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 64, 64)
    zero = torch.zeros(1)
    weights = resize_weights(zero, zero + 64, None, 64, 8)
    inner = separable(stripes, weights, weights)[..., 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5), rtol=0, atol=0.01)


@pytest.mark.parametrize(("size", "radius"), [(9, 1), (9, 4), (9, 8), (32, 8), (2, 1)])
def test_blur_is_torchvisions(size, radius):
    images = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    sigma = torch.tensor([0.1, 0.7, 1.3, 2.0])
    weights = blur_weights(sigma, size, radius)
    for ours, image, s in zip(separable(images, weights, weights), images, sigma.tolist(), strict=True):
        theirs = tv.gaussian_blur(image, [2 * radius + 1] * 2, [s, s])
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


def test_gradients_are_those_of_finite_differences():
    images = torch.rand(6, 3, 23, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: crop(x, 5), images.requires_grad_(), fast_mode=True)
    weights = blur_weights(torch.tensor([0.5, 1.5], dtype=torch.float64), 7, 3)
    small = torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: separable(x, weights, weights), small.requires_grad_())
