"""The GAN's networks: every size, independent samples, initialisation, and configurations that do not fit."""

import json

import pytest
import torch
from torch.nn import functional as F

from synthcl.generators.gan import GANDiscriminator, GANGenerator
from synthcl.generators.gan.networks import Resample, ResidualBlock
from synthcl.generators.gan.presets import ARCHITECTURES, PRESETS, choose_preset, resolutions


def networks(size: int, widths=None, blocks: int = 1) -> tuple[GANGenerator, GANDiscriminator]:
    shape = {"image_size": size, "widths": widths or [8] * len(resolutions(size)), "blocks_per_stage": blocks}
    return GANGenerator(**shape), GANDiscriminator(**shape)


def plain(size: int, widths=None) -> GANGenerator:
    widths = widths or [8] * (len(resolutions(size)) - 1)
    return GANGenerator(image_size=size, widths=widths, blocks_per_stage=0, architecture="plain")


@pytest.mark.parametrize("size", [8, 12, 14, 16, 20, 28, 32, 48, 64, 96, 128])
def test_every_size_from_8_to_128(size):
    torch.manual_seed(size)
    generator, discriminator = networks(size)
    images = generator(generator.sample_latents(2))
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    assert discriminator(images).shape == (2,)
    images = plain(size)(generator.sample_latents(2))
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1


def test_a_plain_generator_is_that_of_dcgan_without_norms():
    torch.manual_seed(0)
    generator = plain(16, [12, 6])
    latents = generator.sample_latents(3)
    first, second = generator.stages[0].conv, generator.to_rgb
    assert first.weight.shape == (12, 6, 4, 4) and second.weight.shape == (6, 3, 4, 4)
    h = (latents @ generator.stem.weight.T + generator.stem.bias).reshape(3, 12, 4, 4)
    for layer in (first, second):
        h = F.conv_transpose2d(F.leaky_relu(h, 0.2), layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(generator(latents), h.tanh())
    assert len(list(generator.parameters())) == 6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_image_depends_on_its_own_latent_alone(architecture):
    torch.manual_seed(0)
    generator = plain(16) if architecture == "plain" else networks(16)[0]
    latents = generator.sample_latents(5)
    alone = torch.cat([generator(latent[None]) for latent in latents])
    torch.testing.assert_close(generator(latents), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "sides"), [(8, [4, 8]), (28, [7, 14, 28]), (96, [6, 12, 24, 48, 96])])
def test_resolutions_double_from_the_base(size, sides):
    assert resolutions(size) == sides


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("size", [8, 32, 128])
def test_presets_narrow_towards_high_resolution(name, size):
    preset, sides = choose_preset(size, name), resolutions(size)
    widths = preset.generator_shape(size)["widths"]
    assert len(widths) == len(sides) - (preset.architecture == "plain") and widths == sorted(widths, reverse=True)
    widths = preset.discriminator_shape(size)["widths"]
    assert len(widths) == len(sides) and widths == sorted(widths, reverse=True)


def test_presets_grow():
    sizes = [choose_preset(32, name).size for name in ("tiny", "small", "base", "large")]
    parameters = [sum(size.widths(resolutions(32))) for size in sizes]
    assert parameters == sorted(set(parameters))


def test_widths_that_do_not_fit_the_size_are_refused():
    with pytest.raises(ValueError, match=r"32 pixels take 4 widths.*\[8, 8\]"):
        GANGenerator(image_size=32, widths=[8, 8])
    with pytest.raises(ValueError, match=r"32 pixels take 4 numbers of blocks.*\[1, 0\]"):
        GANDiscriminator(image_size=32, widths=[8, 8, 8, 8], blocks_per_stage=[1, 0])
    with pytest.raises(ValueError, match=r"32 pixels take 3 widths.*\[4, 8, 16\].*\[8, 8\]"):
        plain(32, [8, 8])
    with pytest.raises(ValueError, match=r"no residual blocks.*must be 0, not 1"):
        GANGenerator(image_size=16, widths=[8, 8], architecture="plain")
    with pytest.raises(ValueError, match=r"residual or plain, not 'dense'"):
        GANGenerator(image_size=16, widths=[8, 8, 8], architecture="dense")


def test_each_resolution_may_have_its_own_number_of_blocks(tmp_path):
    shape = {"image_size": 16, "widths": [16, 8, 4], "blocks_per_stage": [2, 1, 0]}
    for kind in (GANGenerator, GANDiscriminator):
        network = kind(**shape)
        found = [block.conv1.in_channels for block in network.modules() if isinstance(block, ResidualBlock)]
        assert sorted(found, reverse=True) == [16, 16, 8]
        assert_comes_back(network, tmp_path / kind.__name__)


def test_a_plain_generator_comes_back_and_one_saved_before_there_were_any_is_residual(tmp_path):
    generator = plain(16)
    assert_comes_back(generator, tmp_path / "plain")
    networks(16)[0].save_pretrained(str(tmp_path / "residual"))
    config = tmp_path / "residual" / "config.json"
    saved = json.loads(config.read_text())
    assert saved.pop("architecture") == "residual"
    config.write_text(json.dumps(saved))
    assert GANGenerator.from_pretrained(str(tmp_path / "residual")).config.architecture == "residual"


def assert_comes_back(network, folder):
    network.save_pretrained(str(folder))
    again = type(network).from_pretrained(str(folder))
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


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_discriminator_is_not_linear_in_pixels_where_it_takes_their_mean(name):
    """If it were, a checkerboard would be lost in the mean over 2x2 pixels, but for the border."""
    torch.manual_seed(0)
    discriminator = GANDiscriminator(**choose_preset(16, name).discriminator_shape(16))
    layers = list(discriminator.stages)
    first_mean = next(i for i, layer in enumerate(layers) if isinstance(layer, Resample))
    for layer in layers[:first_mean]:
        if isinstance(layer, ResidualBlock):
            torch.nn.init.normal_(layer.conv2.weight, std=0.1)
    before_the_mean = torch.nn.Sequential(discriminator.from_rgb, *layers[:first_mean], torch.nn.AvgPool2d(2))
    board = torch.ones(16, 16)
    board[::2, 1::2] = board[1::2, ::2] = -1
    image = torch.rand(1, 3, 16, 16) - 0.5
    with torch.no_grad():
        seen = (before_the_mean(image + 0.3 * board) - before_the_mean(image))[..., 1:-1, 1:-1]
    assert seen.abs().max() > 1e-3


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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_autocast_reaches_neither_pixels_nor_logits(architecture):
    torch.manual_seed(0)
    generator, discriminator = networks(16)
    if architecture == "plain":
        generator = plain(16)
    latents = generator.sample_latents(2)
    full = generator(latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images, logits = generator(latents), discriminator(full)
    assert images.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(images, full, rtol=0, atol=0.05)
    assert not torch.equal(images.bfloat16().float(), images), "the output should not be rounded to bf16"
