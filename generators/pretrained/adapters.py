"""What sets one kind of diffusers pipeline apart from another: the latent's shape, the network's call, the decoding.

The pipelines' own `__call__` cannot be used as it is: some draw a step's noise from the global generator, so that a
sample would depend on its batch, and some pick class labels themselves. Where they do not, they and these adapters give
the same images.

Shapes: N samples; c channels and s pixels a side where the diffusion happens, C and S where the images are.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor


class PipelineAdapter(ABC):
    """One interface for the pipelines that are served."""

    samplers: bool = True
    """Whether a few-step solver can take the place of the pipeline's scheduler."""

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        self.pipeline = pipeline

    @property
    @abstractmethod
    def network(self) -> Any:
        """What predicts at each step, a model of diffusers."""

    @property
    def default_steps(self) -> int:
        """Steps that the pipeline takes unless told otherwise."""
        return inspect.signature(type(self.pipeline).__call__).parameters["num_inference_steps"].default

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """(c, s, s)."""
        config = self.network.config
        size = config.sample_size
        if not isinstance(size, int):
            raise ValueError(f"the pipeline's network must be for square images, not for sample_size {size}")
        return config.in_channels, size, size

    @property
    def image_size(self) -> int:
        """S, in pixels."""
        return self.noise_shape[-1]

    @property
    def num_classes(self) -> int | None:
        """How many classes it knows; None if it takes no labels."""
        return None

    @abstractmethod
    def denoise(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        """The network's output (N, c, s, s) for x (N, c, s, s) at timestep t () and labels (N,)."""

    def decode(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S), about [-1, 1], of what the last step gave."""
        return x


class UNetAdapter(PipelineAdapter):
    """A U-Net on pixels: `DDPMPipeline`, `DDIMPipeline`, `PNDMPipeline`."""

    @property
    def network(self) -> Any:
        return self.pipeline.unet

    @property
    def num_classes(self) -> int | None:
        return self.network.config.num_class_embeds

    def denoise(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        return self.network(x, t, class_labels=labels).sample


class ConsistencyAdapter(UNetAdapter):
    """A consistency model: its sampler is part of what it is (arXiv 2303.01469, algorithm 1)."""

    samplers = False


class LDMAdapter(PipelineAdapter):
    """A U-Net in the latent space of a VQ autoencoder: `LDMPipeline` (arXiv 2112.10752)."""

    @property
    def network(self) -> Any:
        return self.pipeline.unet

    @property
    def image_size(self) -> int:
        return self.noise_shape[-1] * _upscaling(self.pipeline.vqvae)

    def denoise(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        return self.network(x, t).sample

    def decode(self, x: Tensor) -> Tensor:
        return self.pipeline.vqvae.decode(x / self.pipeline.vqvae.config.scaling_factor).sample


class DiTAdapter(PipelineAdapter):
    """A transformer in the latent space of a VAE, with class labels and classifier-free guidance (arXiv 2212.09748)."""

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        super().__init__(pipeline)
        self.guidance_scale: float = inspect.signature(type(pipeline).__call__).parameters["guidance_scale"].default

    @property
    def network(self) -> Any:
        return self.pipeline.transformer

    @property
    def image_size(self) -> int:
        return self.noise_shape[-1] * _upscaling(self.pipeline.vae)

    @property
    def num_classes(self) -> int:
        return self.network.config.num_embeds_ada_norm

    def denoise(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None, "class-conditional pipelines always have them"
        if self.guidance_scale <= 1:
            return self._noise(x, t, labels)
        nothing = torch.full_like(labels, self.num_classes)  # the embedding after the last class
        with_class, without = self._noise(torch.cat((x, x)), t, torch.cat((labels, nothing))).chunk(2)
        return without + self.guidance_scale * (with_class - without)

    def _noise(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        output = self.network(x, timestep=t.to(x.device).expand(len(x)), class_labels=labels).sample
        return output[:, : x.shape[1]]  # a learned variance may follow

    def decode(self, x: Tensor) -> Tensor:
        return self.pipeline.vae.decode(x / self.pipeline.vae.config.scaling_factor).sample


def _upscaling(autoencoder: Any) -> int:
    return 2 ** (len(autoencoder.config.block_out_channels) - 1)


ADAPTERS: dict[str, type[PipelineAdapter]] = {
    "DDPMPipeline": UNetAdapter,
    "DDIMPipeline": UNetAdapter,
    "PNDMPipeline": UNetAdapter,
    "ConsistencyModelPipeline": ConsistencyAdapter,
    "LDMPipeline": LDMAdapter,
    "DiTPipeline": DiTAdapter,
}
"""The pipelines that are served, by class name; a class of one's own that extends one of them is served likewise."""


def create_adapter(pipeline: DiffusionPipeline) -> PipelineAdapter:
    """The adapter for a pipeline. Raises ValueError, with what is served, for one that is not."""
    for each in type(pipeline).__mro__:
        if each.__name__ in ADAPTERS:
            return ADAPTERS[each.__name__](pipeline)
    raise ValueError(unsupported(type(pipeline).__name__))


def unsupported(name: str) -> str:
    """Why a pipeline class is refused."""
    return (
        f"a {name} cannot serve as a generator: unconditional and class-conditional image pipelines can, "
        f"which are {', '.join(ADAPTERS)}"
    )
