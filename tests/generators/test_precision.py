"""What a generator computes in: its own precision, whatever the caller's, with images in float32."""

import pytest
import torch
from torch import nn

from synthcl.generators import GENERATORS, Generator, OptionError, create_trainer
from synthcl.pipeline.randomness import Key

SIZE = 8
KEY = Key.from_seed(0)


class Linear(Generator):
    """The smallest generator of a user's own."""

    differentiable = True
    image_size = SIZE

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 3 * SIZE * SIZE)

    def sample_latents(self, n, *, draws=None, device=None):
        return draws.normal("latents", 4)

    def forward(self, latents):
        return self.map(latents).tanh().unflatten(1, (3, SIZE, SIZE))

    def save_pretrained(self, directory):
        raise NotImplementedError

    from_pretrained = save_pretrained


@pytest.fixture(params=[*GENERATORS, "custom"])
def generator(request):
    torch.manual_seed(0)
    if request.param == "custom":
        return Linear().requires_grad_(False)
    generator = create_trainer(request.param, SIZE, preset="tiny").ema
    for parameter in generator.parameters():  # blocks begin as the identity
        parameter += 0.02 * torch.randn(parameter.shape)
    return generator


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_images_are_float32_and_near_those_of_fp32(generator, precision):
    draws = KEY.at(torch.arange(4))
    latents = generator.sample_latents(4, draws=draws)
    exact = [generator(latents), *generator.forward_group(latents, 2, 0.3, draws)]
    generator.computes_in = precision
    for images, expected in zip(
        [generator(latents), *generator.forward_group(latents, 2, 0.3, draws)], exact, strict=True
    ):
        assert images.dtype == torch.float32
        assert 0 < (images - expected).abs().mean() < 0.05


def test_the_callers_autocast_does_not_reach_a_generator(generator):
    latents = generator.sample_latents(4, draws=KEY.at(torch.arange(4)))
    expected = generator(latents)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(generator(latents), expected)


def test_float64_stays_float64():
    generator = Linear().double()
    assert generator(torch.zeros(1, 4, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("kind", GENERATORS)
def test_both_generators_of_a_trainer_have_its_precision(kind):
    trainer = create_trainer(kind, SIZE, preset="tiny", precision="bf16")
    assert trainer.generator.computes_in == trainer.ema.computes_in == "bf16"
    latents = trainer.generator.sample_latents(2, draws=KEY.at(torch.arange(2)))
    trainer.generator(latents).sum().backward()
    gradients = [p.grad for p in trainer.generator.parameters() if p.grad is not None]
    assert gradients and all(gradient.dtype == torch.float32 for gradient in gradients)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize(
    ("precision", "message"), [("fp16", "for drawing alone"), ("int8", "'int8': choose from fp32")]
)
def test_precisions_that_none_is_trained_in(kind, precision, message):
    with pytest.raises(OptionError, match=message):
        create_trainer(kind, SIZE, preset="tiny", precision=precision)
