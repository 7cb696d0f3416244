"""The images of samples by their index: what `generate` writes, drawn and varied."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthcl.generators import OptionError, create_trainer
from synthcl.generators.base import Generator
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.generation.opening import open_generator
from synthcl.pipeline.generation.rendering import Renderer, Varier, samples_to_bytes, sampling_key
from synthcl.pipeline.randomness import Key

CPU, SIZE, KEY = torch.device("cpu"), 8, Key.from_seed(4)


class Shades(Generator):
    """Latents (N, 1) to images of one shade; a variation of an image is as much darker as the strength says."""

    differentiable = False
    image_size = SIZE

    def __init__(self, columns=None, factor=1.0):
        super().__init__()
        self.columns, self.factor = columns or {}, factor

    def sample_latents(self, n, *, draws=None, device=None):
        return draws.uniform("shade", 1) * 2 - 1

    def forward(self, latents):
        return (latents * self.factor)[:, :, None, None].expand(-1, 3, SIZE, SIZE)

    def describe(self, latents):
        return {name: value(latents) for name, value in self.columns.items()}

    def check_variations(self, strength):
        pass

    def vary(self, images, latents, count, strength, draws):
        return [images - strength * (number + 1) for number in range(count)]

    def save_pretrained(self, directory):
        raise AssertionError

    from_pretrained = save_pretrained


def test_levels_are_rounded_and_bounded():
    levels = torch.tensor([0.0, 0.4, 0.6, 127.4, 254.6, 255.0])
    assert samples_to_bytes(levels / 127.5 - 1).tolist() == [0, 0, 1, 127, 255, 255]
    assert samples_to_bytes(torch.tensor([-1.5, 1.5])).tolist() == [0, 255]


def test_samples_are_those_of_their_indices_in_any_batch():
    generator = create_trainer("gan", SIZE, preset="tiny").ema.eval()
    renderer = Renderer(generator, KEY, CPU, 3, 0.4)
    images = renderer(np.arange(6))
    assert images.shape == (6, 3, 3, SIZE, SIZE) and images.dtype == torch.uint8
    latents = generator.sample_latents(6, draws=KEY.at(torch.arange(6)))
    group = generator.forward_group(latents, 3, 0.4, KEY.at(torch.arange(6)))
    assert torch.equal(images, samples_to_bytes(torch.stack(group, dim=1).detach()))
    assert (renderer(np.array([4, 1])).int() - images[[4, 1]].int()).abs().max() <= 1
    assert torch.equal(Renderer(generator, KEY, CPU)(np.arange(6))[:, 0], images[:, 0])


def test_variations_are_of_the_images_in_turn():
    store = open_images("digits:train[10:14]", image_size=SIZE)
    varier = Varier(Shades(), KEY, CPU, store, 0.1, 2)
    images = varier(np.arange(3, 7))
    expected = store.read([3, 0, 1, 2]).float() / 127.5 - 1
    assert torch.equal(images[:, 0], samples_to_bytes(expected - 0.1))
    assert torch.equal(images[:, 1], samples_to_bytes(expected - 0.2))
    described = varier.describe(np.arange(3, 7))
    assert described["anchor_index"] == [13, 10, 11, 12] and described["anchor"] == store.keys([3, 0, 1, 2])
    assert described["class"] == store.labels[[3, 0, 1, 2]].tolist()


def test_columns_that_a_set_does_not_have_are_refused():
    generator = Shades({"colour": lambda latents: ["red"] * len(latents)})
    with pytest.raises(DataError, match="describes its samples by 'colour'; a shard set has columns for class, prompt"):
        Renderer(generator, KEY, CPU).describe(np.arange(2))
    known = Shades({"class": lambda latents: [5] * len(latents)})
    assert Renderer(known, KEY, CPU).describe(np.arange(2)) == {"class": [5, 5]}


def test_images_that_are_no_numbers_in_fp16_are_named():
    generator = Shades(factor=float("inf"))
    generator.computes_in = "fp16"
    renderer = Renderer(generator, KEY, CPU)
    with torch.autocast("cpu", enabled=False), pytest.raises(DataError, match="overflows in fp16"):
        renderer(np.arange(2))
    begun = renderer.begin(np.arange(2))  # nobody waits to hear of it
    with pytest.raises(DataError, match="overflows in fp16"):
        begun.array()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_images_that_are_on_their_way_are_the_same(precision):
    generator = create_trainer("gan", SIZE, preset="tiny").ema.eval()
    generator.computes_in = precision
    renderer = Renderer(generator, KEY, CPU, 2, 0.4)
    assert np.array_equal(renderer.begin(np.arange(3)).array(), renderer(np.arange(3)).numpy())


def test_a_generator_without_a_way_back_has_no_variations():
    generator = create_trainer("gan", SIZE, preset="tiny").ema
    with pytest.raises(OptionError, match="a GANGenerator has no way from an image to a latent"):
        generator.check_variations(0.5)


@pytest.mark.parametrize("strength", [None, 0.3])
def test_a_sample_is_the_same_in_any_batch(run, strength):
    size = 1 if strength is None else 2
    render = Renderer(open_generator(str(run)), sampling_key(3), CPU, size, strength)
    whole = render(np.arange(6))
    assert whole.dtype == torch.uint8 and whole.shape == (6, size, 3, 8, 8)
    some = render(np.array([4, 1]))
    assert (some.int() - whole[[4, 1]].int()).abs().max() <= 1  # one level: a batch sums in another order
    other = Renderer(open_generator(str(run)), sampling_key(4), CPU, size, strength)(np.arange(6))
    assert (other.int() - whole.int()).abs().float().mean() > 1
    if strength is not None:
        alone = Renderer(open_generator(str(run)), sampling_key(3), CPU)(np.arange(6))
        assert torch.equal(alone[:, 0], whole[:, 0]) and not torch.equal(whole[:, 0], whole[:, 1])


def test_images_that_are_no_numbers_are_told_in_fp16(run):
    generator = open_generator(str(run))
    with torch.no_grad():
        next(generator.parameters()).fill_(torch.nan)
    generator.computes_in = "fp16"
    with pytest.raises(DataError, match=r"overflows in fp16.*give --generator-precision bf16 or fp32"):
        Renderer(generator, sampling_key(0), CPU)(np.arange(1))
