"""A pipeline in a latent space that carries a gradient from its images to its network, for joint training.

Shapes: N samples; c channels and s pixels a side where the diffusion happens, S where the images are.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..diffusion.denoising import Denoiser
from ..diffusion.objective import check_prediction, check_schedule
from ..errors import OptionError
from ..precision import compute_in
from .generator import PretrainedGenerator
from .schedulers import check_steps, choose_scheduler

DECODED_PIXELS = 512 * 512
"""Pixels that the autoencoder decodes at a time where the gradient goes through it: one image of that size, 16 of 128
pixels a side. Ours: Stable Diffusion's decoder keeps 5.6 GiB of them (benchmarks/latent_memory.py)."""


class TrainablePipeline(PretrainedGenerator, Denoiser):
    """Seeds and conditions (N, 2) to images (N, 3, S, S), with a gradient to the network.

    The last steps of the sampler carry it (DRaFT-K, Clark et al. 2024, arXiv 2309.17400), and the decoder, whose
    weights stay as they are. To save memory little of the network and nothing of the decoder is kept for the way back:
    the network's blocks are run again there, and so is the decoder, on `DECODED_PIXELS` at a time.

    Args:
        pipeline: of a class in `registry.LATENT_PIPELINES`.
        gradient_steps: how many of the last steps carry the gradient; 1 is the cheapest.
        options: see `PretrainedGenerator`.

    Raises:
        ValueError: as for `PretrainedGenerator`, and for a size that is not the pipeline's own.
    """

    differentiable: ClassVar[bool] = True

    def __init__(self, pipeline: Any, *, gradient_steps: int = 1, **options: Any) -> None:
        super().__init__(pipeline, **options)
        if self.image_size != self.adapter.image_size:
            raise OptionError(
                f"the pipeline makes images of {self.adapter.image_size} pixels, and learns at that size alone, not at "
                f"{self.image_size}"
            )
        self.prediction = check_prediction(self.scheduler.config.prediction_type)
        check_schedule(self.prediction, self.alphas_cumprod)
        self.configure(gradient_steps=gradient_steps)
        self.requires_grad_(False)
        self.network.requires_grad_(True)
        self.network.enable_gradient_checkpointing()

    def configure(
        self, *, sampler: str | None = None, sampling_steps: int | None = None, gradient_steps: int | None = None
    ) -> None:
        if sampler is not None:
            self.scheduler = choose_scheduler(self.adapter, sampler)
            self.options["sampler"] = sampler
        if sampling_steps is not None:
            self.sampling_steps = self.options["sampling_steps"] = check_steps(sampling_steps, self.scheduler)
        if gradient_steps is not None:
            if gradient_steps < 1:
                raise OptionError(f"gradient_steps must be at least 1, not {gradient_steps}")
            self.gradient_steps = gradient_steps

    @property
    def network(self) -> Any:
        return self.adapter.network

    @property
    def alphas_cumprod(self) -> Tensor:
        return self.scheduler.alphas_cumprod

    def forward(self, latents: Tensor) -> Tensor:
        return self._finish(self._solve(latents))

    def decode(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return super().decode(x)
        together = max(DECODED_PIXELS // self.image_size**2, 1)
        # Nothing is kept of a part but what it is given. It draws no random numbers.
        parts = [
            checkpoint(self.adapter.decode, part, use_reentrant=False, preserve_rng_state=False)
            for part in x.split(together)
        ]
        return torch.cat(parts)

    def predict(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """See `Denoiser.predict`: a real image has no class and no prompt here."""
        with compute_in(self.computes_in, x.device.type):
            return self.adapter.predict(x, timesteps).float()

    @torch.no_grad()
    def diffused(self, images: Tensor) -> Tensor:
        """The autoencoder's latents (N, c, s, s) float32 of images (N, 3, S, S) in [-1, 1]."""
        with compute_in(self.computes_in, images.device.type):
            return self.adapter.encode(images).float()
