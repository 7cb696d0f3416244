"""Sizes of the diffusion network."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DModel

from synthcl.generators.diffusion import DiffusionTrainer
from synthcl.generators.diffusion.presets import PRESETS, choose_preset, resolutions, unet_config


def test_base_at_32_pixels_is_ddpms_network():
    with torch.device("meta"):
        unet = UNet2DModel(**unet_config(32, "base"))
    assert unet.config.block_out_channels == (128, 256, 256, 256)
    assert round(sum(p.numel() for p in unet.parameters()) / 1e6, 1) == 35.7


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("image_size", [8, 12, 28, 30, 64])
def test_presets_make_images_of_every_even_size(preset, image_size):
    with torch.device("meta"):
        unet = UNet2DModel(**unet_config(image_size, preset))
        images = torch.zeros(2, 3, image_size, image_size)
        assert unet(images, torch.zeros(2)).sample.shape == images.shape


@pytest.mark.parametrize(
    ("image_size", "on_cpu", "name"), [(16, False, "tiny"), (16, True, "tiny"), (32, False, "base"), (32, True, "tiny")]
)
def test_auto_goes_by_size_and_is_small_on_a_cpu(image_size, on_cpu, name):
    assert choose_preset(image_size, on_cpu=on_cpu) is PRESETS[name]
    if on_cpu:
        assert DiffusionTrainer.create(image_size, device="cpu").preset == name


def test_sizes_and_presets_that_are_not_there_are_refused():
    assert resolutions(32) == [32, 16, 8, 4] and resolutions(28) == [28, 14, 7] and resolutions(30) == [30, 15]
    for size in (6, 15, 256):
        with pytest.raises(ValueError, match=f"not {size}"):
            resolutions(size)
    with pytest.raises(ValueError, match="'huge': choose from auto, tiny, small, base"):
        choose_preset(8, "huge")
