"""The GAN's losses and penalties against references written out sample by sample."""

import math

import pytest
import torch

from synthcl.generators.gan import GANDiscriminator
from synthcl.generators.gan.losses import discriminator_loss, generator_loss, gradient_penalties

REAL, FAKE = torch.tensor([1.5, -0.3, 0.0, 4.0]), torch.tensor([-0.5, 0.7, 0.0, -60.0])


def smooth_discriminator() -> GANDiscriminator:
    """In double precision, with residual branches that are not zero, as after some training."""
    torch.manual_seed(0)
    discriminator = GANDiscriminator(image_size=8, widths=[4, 4]).double()
    for parameter in discriminator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return discriminator


def test_losses_equal_a_naive_reference():
    pairs = list(zip(REAL.tolist(), FAKE.tolist(), strict=True))
    naive_d = sum(math.log1p(math.exp(-(r - f))) for r, f in pairs) / len(pairs)
    naive_g = sum(math.log1p(math.exp(-(f - r))) for r, f in pairs) / len(pairs)
    assert discriminator_loss(REAL, FAKE).item() == pytest.approx(naive_d, rel=1e-6)
    assert generator_loss(REAL, FAKE).item() == pytest.approx(naive_g, rel=1e-6)


def test_losses_mirror_each_other_and_are_relative():
    assert torch.equal(discriminator_loss(REAL, FAKE), generator_loss(FAKE, REAL))
    torch.testing.assert_close(discriminator_loss(REAL + 3, FAKE + 3), discriminator_loss(REAL, FAKE))
    assert discriminator_loss(REAL, REAL).item() == pytest.approx(math.log(2))


def test_the_loss_of_far_apart_logits_is_finite():
    far = torch.full((2,), 500.0)
    assert discriminator_loss(-far, far).item() == pytest.approx(1000)
    assert discriminator_loss(far, -far).item() == 0


def test_penalties_are_the_squared_gradient_of_each_sample():
    discriminator = smooth_discriminator()
    images = torch.rand(3, 3, 8, 8, dtype=torch.double, requires_grad=True)
    penalties = gradient_penalties(discriminator(images), images)
    for image, penalty in zip(images.detach(), penalties, strict=True):
        difference = torch.zeros(3 * 8 * 8, dtype=torch.double)
        for i in range(len(difference)):
            shift = torch.zeros_like(difference)
            shift[i] = 1e-6
            up, down = (discriminator((image + sign * shift.view(3, 8, 8))[None]) for sign in (1, -1))
            difference[i] = (up - down).item() / 2e-6
        assert penalty.item() == pytest.approx(difference.square().sum().item(), rel=1e-5)


def test_the_penaltys_gradient_equals_finite_differences():
    discriminator = smooth_discriminator()
    images = torch.rand(2, 3, 8, 8, dtype=torch.double, requires_grad=True)

    def penalty() -> torch.Tensor:
        return gradient_penalties(discriminator(images), images).mean()

    weights = [discriminator.head.weight, discriminator.from_rgb.weight, discriminator.stages[0].conv1.weight]
    gradients = torch.autograd.grad(penalty(), weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        direction = torch.randn_like(weight)
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight.add_(direction, alpha=step)
            values.append(penalty().item())
            with torch.no_grad():
                weight.sub_(direction, alpha=step)
        expected = (values[0] - values[1]) / 2e-6
        assert (gradient * direction).sum().item() == pytest.approx(expected, rel=1e-4)


def test_two_halves_average_to_the_whole():
    discriminator = smooth_discriminator()
    images = torch.rand(4, 3, 8, 8, dtype=torch.double, requires_grad=True)
    whole = gradient_penalties(discriminator(images), images).mean()
    halves = [
        gradient_penalties(discriminator(half), half).mean() for half in images.detach().requires_grad_().split(2)
    ]
    torch.testing.assert_close(whole, (halves[0] + halves[1]) / 2)
