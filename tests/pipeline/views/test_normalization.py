"""Bytes, [0, 1] and what encoders take."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from synthcl.pipeline import views
from synthcl.pipeline.views import IMAGENET_MEAN, IMAGENET_STD, denormalize, normalize, to_float


def test_normalize_is_torchvisions_with_imagenets_statistics():
    images = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = tv.normalize(images, list(IMAGENET_MEAN), list(IMAGENET_STD))
    torch.testing.assert_close(normalize(images), expected)
    torch.testing.assert_close(denormalize(normalize(images)), images)
    torch.testing.assert_close(normalize(images[None, 0]), expected[None, 0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_normalize_keeps_the_type(dtype):
    assert normalize(torch.zeros(2, 3, 4, 4, dtype=dtype)).dtype == dtype


def test_to_float_maps_bytes_to_the_unit_interval():
    stored = torch.arange(256, dtype=torch.uint8)
    assert torch.equal((to_float(stored) * 255).round().to(torch.uint8), stored)
    assert to_float(stored)[[0, -1]].tolist() == [0.0, 1.0]


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="float32"):
        to_float(torch.zeros(1))
    with pytest.raises(ValueError, match="uint8"):
        normalize(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\)"):
        normalize(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("name", views.__all__)
def test_every_public_name_is_there(name):
    assert getattr(views, name) is not None


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = views.nothing_here
