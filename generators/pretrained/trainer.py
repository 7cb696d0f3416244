"""One training step of a pipeline in a latent space, together with a learner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor, nn

from ..base import Generator
from ..diffusion.denoising import DenoisingTrainer
from ..diffusion.lora import add_lora, merged, without_adapters
from .generator import PretrainedGenerator
from .trainable import TrainablePipeline


class PipelineTrainer(DenoisingTrainer):
    """Trains the network of a latent diffusion model, or adapters of it; the autoencoder and the text encoders stay.

    The denoising loss is taken of the autoencoder's latents of real images, without class or prompt, as none is known
    of them: on the branch that classifier-free guidance calls unconditional (arXiv 2207.12598). The weights that it
    moves are those of the samples too. That branch as the anchor is ours. See `DenoisingTrainer`.
    """

    generator: TrainablePipeline
    ema: TrainablePipeline

    @classmethod
    def create(cls, image_size: int, *, preset: str = "auto", **options: Any) -> NoReturn:
        """There is no training from untrained weights."""
        raise ValueError("a latent diffusion pipeline is taken up, not made: give the folder of one")

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        *,
        lora_rank: int | None = None,
        classes: Sequence[int] | None = None,
        prompts: Sequence[str] | None = None,
        guidance_scale: float | None = None,
        **options: Any,
    ) -> PipelineTrainer:
        """Take up a pipeline in a folder: G and its average start from it. Only safetensors are read.

        The learning rates are those of `DiffusionTrainer`.

        Args:
            directory: the pipeline's folder.
            lora_rank: train adapters of this rank in place of the network; needs `peft`.
            classes, prompts, guidance_scale: what is drawn; see `PretrainedGenerator`.
            options: as for the class.
        """
        generator = TrainablePipeline.from_pretrained(
            directory, classes=classes, prompts=prompts, guidance_scale=guidance_scale
        )
        if lora_rank is not None:
            add_lora(generator, lora_rank)
        defaults = {"learning_rate": 2e-5 if lora_rank is None else 1e-4, "ema_warmup": False}
        return cls(generator, **{**defaults, **options})

    @property
    def origin(self) -> tuple[type[Generator], dict[str, Tensor]]:
        return PretrainedGenerator, without_adapters(self.ema.state_dict())

    def _learning(self) -> nn.Module:
        return self.trained  # the rest is in the pipeline's folder, and can be gigabytes

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the average as a pipeline, adapters merged into the network."""
        merged(self.ema).save_pretrained(directory)
