"""The GAN's networks: every size, independent samples, initialisation, and configurations that do not fit."""

import pytest
import torch

from synthcl.generators.gan import GANDiscriminator, GANGenerator
from synthcl.generators.gan.networks import ResidualBlock
from synthcl.generators.gan.presets import PRESETS, choose_preset, resolutions


def networks(size: int, widths=None, blocks: int = 1) -> tuple[GANGenerator, GANDiscriminator]:
    shape = {"image_size": size, "widths": widths or [8] * len(resolutions(size)), "blocks_per_stage": blocks}
    return GANGenerator(**shape), GANDiscriminator(**shape)


@pytest.mark.parametrize("size", [8, 12, 14, 16, 20, 28, 32, 48, 64, 96, 128])
def test_every_size_from_8_to_128(size):
    torch.manual_seed(size)
    generator, discriminator = networks(size)
    images = generator(generator.sample_latents(2))
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize(("size", "sides"), [(8, [4, 8]), (28, [7, 14, 28]), (96, [6, 12, 24, 48, 96])])
def test_resolutions_double_from_the_base(size, sides):
    assert resolutions(size) == sides


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("size", [8, 32, 128])
def test_presets_narrow_towards_high_resolution(name, size):
    widths = choose_preset(size, name).widths(size)
    assert len(widths) == len(resolutions(size)) and widths == sorted(widths, reverse=True)


def test_presets_grow():
    parameters = [sum(choose_preset(32, name).widths(32)) for name in ("tiny", "small", "base", "large")]
    assert parameters == sorted(set(parameters))


def test_the_preset_chosen_by_size_is_tiny_for_small_images():
    assert choose_preset(16) == PRESETS["tiny"] and choose_preset(32) == PRESETS["base"]


def test_widths_that_do_not_fit_the_size_are_refused():
    with pytest.raises(ValueError, match=r"32 pixels take 4 widths.*\[8, 8\]"):
        GANGenerator(image_size=32, widths=[8, 8])
    with pytest.raises(ValueError, match=r"32 pixels take 4 numbers of blocks.*\[1, 0\]"):
        GANDiscriminator(image_size=32, widths=[8, 8, 8, 8], blocks_per_stage=[1, 0])


def test_each_resolution_may_have_its_own_number_of_blocks(tmp_path):
    shape = {"image_size": 16, "widths": [16, 8, 4], "blocks_per_stage": [2, 1, 0]}
    for kind in (GANGenerator, GANDiscriminator):
        network = kind(**shape)
        found = [block.conv1.in_channels for block in network.modules() if isinstance(block, ResidualBlock)]
        assert sorted(found, reverse=True) == [16, 16, 8]
        network.save_pretrained(str(tmp_path / kind.__name__))
        again = kind.from_pretrained(str(tmp_path / kind.__name__))
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_logits_of_a_sample_do_not_depend_on_its_batch():
    torch.manual_seed(0)
    _, discriminator = networks(16)
    for block in discriminator.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.normal_(block.conv2.weight, std=0.1)
    images = torch.rand(5, 3, 16, 16) * 2 - 1
    alone = torch.cat([discriminator(image[None]) for image in images])
    torch.testing.assert_close(discriminator(images), alone, rtol=1e-5, atol=1e-5)
    assert not list(discriminator.buffers()), "a buffer would be a statistic over a batch"


def test_a_block_begins_as_the_identity_and_fixup_scales_its_first_layer():
    torch.manual_seed(0)
    block = ResidualBlock(64, num_blocks=4)
    x = torch.randn(2, 64, 4, 4)
    assert torch.equal(block(x), x)
    expected = (2 / (1 + 0.2**2) / (64 * 9)) ** 0.5 / 4**0.5  # He gain over fan-in, times L ** -1/2
    assert block.conv1.weight.std().item() == pytest.approx(expected, rel=0.02)


def test_signals_keep_their_scale_through_a_deep_network():
    torch.manual_seed(0)
    generator, discriminator = networks(64, widths=[32, 32, 32, 16, 16], blocks=3)
    with torch.no_grad():
        images = generator(generator.sample_latents(16))
        logits = discriminator(torch.rand(16, 3, 64, 64) * 2 - 1)
    assert 0.1 < images.std() < 0.9
    assert 0.01 < logits.std() < 10


def test_autocast_reaches_neither_pixels_nor_logits():
    torch.manual_seed(0)
    generator, discriminator = networks(8)
    latents = generator.sample_latents(2)
    plain = generator(latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images, logits = generator(latents), discriminator(plain)
    assert images.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(images, plain, rtol=0, atol=0.05)
    assert not torch.equal(images.bfloat16().float(), images), "the output should not be rounded to bf16"
