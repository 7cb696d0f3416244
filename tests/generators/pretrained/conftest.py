"""Draws of samples, and what every generator of a pipeline keeps to, batch by batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from synthcl.generators.base import Draws
from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.pipeline.randomness import Key


def _draws(n: int = 3, seed: int = 0) -> Draws:
    return Key.from_seed(seed).at(torch.arange(n))


@pytest.fixture(scope="session")
def draws() -> Callable[..., Draws]:
    """`draws(n, seed)`, of samples 0 to n - 1."""
    return _draws


@pytest.fixture(scope="session")
def check_batches() -> Callable[[PretrainedGenerator], None]:
    """Asserts that a sample is one image in [-1, 1] of its own, whatever the batch and torch's generators."""

    def check(generator: PretrainedGenerator) -> None:
        latents = generator.sample_latents(4, draws=_draws(4))
        assert torch.equal(latents[2:], generator.sample_latents(2, draws=_draws(4)[2:]))
        torch.manual_seed(0)
        images = generator(latents)
        assert images.dtype == torch.float32 and images.abs().max() <= 1 and not images.requires_grad
        assert images.shape == (4, 3, generator.image_size, generator.image_size)
        assert all((images[0] - other).abs().max() > 0.02 for other in images[1:])
        torch.manual_seed(1)
        assert torch.equal(generator(latents), images)
        torch.testing.assert_close(generator(latents[2:]), images[2:], rtol=0, atol=1e-3)

    return check
