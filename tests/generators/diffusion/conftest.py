"""A trainer of a tiny network, and what its steps take."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DModel

from synthcl.generators.diffusion import DiffusionGenerator, DiffusionTrainer
from synthcl.pipeline.randomness import Key

N = 4
TINY = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
}


class Tiny:
    """Images of 8 pixels, four a step."""

    network = TINY

    def make_trainer(self, prediction: str = "epsilon", **options) -> DiffusionTrainer:
        torch.manual_seed(0)
        scheduler = DDIMScheduler(timestep_spacing="trailing", prediction_type=prediction)
        generator = DiffusionGenerator(UNet2DModel(**TINY), scheduler, sampling_steps=3, gradient_steps=2)
        return DiffusionTrainer(generator, **options)

    def draws(self, step: int = 0):
        return Key.from_seed(0).child(step).at(torch.arange(N))

    def real(self) -> torch.Tensor:
        return torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(2)) * 2 - 1

    def weights(self, module: torch.nn.Module) -> list[torch.Tensor]:
        return [p.detach().clone() for p in module.parameters()]

    def equal(self, first, second) -> bool:
        return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    def joint_step(
        self, trainer: DiffusionTrainer, step: int, scale: float = 1.0, **bound: float
    ) -> dict[str, torch.Tensor]:
        images = trainer.generator(trainer.generator.sample_latents(N, draws=self.draws(step)))
        return trainer.step(
            self.real(), self.draws(step), images=images, hard_gradient=scale * self.real().flip(0), **bound
        )


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny()
