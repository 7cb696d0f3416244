"""What sets one kind of diffusers pipeline apart from another: the latent's shape, the network's call, the decoding.

The pipelines' own `__call__` cannot be used as it is: some draw a step's noise from the global generator, so that a
sample would depend on its batch, and some pick class labels themselves. Where they do not, they and these adapters give
the same images.

Shapes: N samples; c channels and s pixels a side where the diffusion happens, C and S where the images are.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor


class PipelineAdapter(ABC):
    """One interface for the pipelines that are served."""

    samplers: bool = True
    """Whether a few-step solver can take the place of the pipeline's scheduler."""
    takes_prompts: bool = False
    """Whether its samples are of prompts."""

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

    def prepare(self, labels: Tensor | None, prompts: Sequence[str] | None) -> Any:
        """What `denoise` takes as the condition of N samples, made once for all steps.

        Args:
            labels: (N,) int64, where the pipeline takes classes.
            prompts: N of them, where it takes prompts.
        """
        return labels

    @abstractmethod
    def denoise(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        """The network's output (N, c, s, s) for x (N, c, s, s) at timestep t () and what `prepare` gave."""

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's output (N, c, s, s) for x at timesteps t () or (N,), of no class and no prompt: what is called
        unconditional in classifier-free guidance (arXiv 2207.12598)."""
        return self.denoise(x, t, None)

    def decode(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S), about [-1, 1], of what the last step gave."""
        return x

    def encode(self, images: Tensor) -> Tensor:
        """What `decode` makes these images of, (N, c, s, s), for images (N, 3, S, S) in [-1, 1]."""
        channels = self.noise_shape[0]
        return images if channels == 3 else images.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)


class UNetAdapter(PipelineAdapter):
    """A U-Net on pixels: `DDPMPipeline`, `DDIMPipeline`, `PNDMPipeline`."""

    @property
    def network(self) -> Any:
        return self.pipeline.unet

    @property
    def num_classes(self) -> int | None:
        return self.network.config.num_class_embeds

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        return self.network(x, t, class_labels=condition).sample


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

    def denoise(self, x: Tensor, t: Tensor, condition: None) -> Tensor:
        return self.network(x, t).sample

    def decode(self, x: Tensor) -> Tensor:
        return self.pipeline.vqvae.decode(x / self.pipeline.vqvae.config.scaling_factor).sample

    def encode(self, images: Tensor) -> Tensor:
        return self.pipeline.vqvae.encode(images).latents * self.pipeline.vqvae.config.scaling_factor


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

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        if self.guidance_scale <= 1:
            return self._noise(x, t, condition)
        nothing = self._no_class(x)
        with_class, without = self._noise(torch.cat((x, x)), t, torch.cat((condition, nothing))).chunk(2)
        return without + self.guidance_scale * (with_class - without)

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        return self._noise(x, t, self._no_class(x))

    def _no_class(self, x: Tensor) -> Tensor:
        """The embedding after the last class, for each of x."""
        return torch.full((len(x),), self.num_classes, device=x.device)

    def _noise(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        output = self.network(x, timestep=t.to(x.device).expand(len(x)), class_labels=labels).sample
        return output[:, : x.shape[1]]  # a learned variance may follow

    def decode(self, x: Tensor) -> Tensor:
        return self.pipeline.vae.decode(x / self.pipeline.vae.config.scaling_factor).sample

    def encode(self, images: Tensor) -> Tensor:
        return self.pipeline.vae.encode(images).latent_dist.mode() * self.pipeline.vae.config.scaling_factor


class StableDiffusionAdapter(PipelineAdapter):
    """A U-Net in the latent space of a VAE, on prompts, with classifier-free guidance: `StableDiffusionPipeline`.

    Stable Diffusion 1 and 2 (arXiv 2112.10752), and those distilled to a few steps that need no guidance (SD-Turbo,
    arXiv 2311.17042: `guidance_scale` 0). A pipeline's checker, which blackens what it takes for unsafe, is not run.
    """

    takes_prompts = True

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        super().__init__(pipeline)
        self.guidance_scale: float = inspect.signature(type(pipeline).__call__).parameters["guidance_scale"].default

    @property
    def network(self) -> Any:
        return self.pipeline.unet

    @property
    def image_size(self) -> int:
        return self.noise_shape[-1] * _upscaling(self.pipeline.vae)

    @property
    def guided(self) -> bool:
        """Whether each step runs the network twice, with the prompt and without."""
        return self.guidance_scale > 1 and self.network.config.time_cond_proj_dim is None

    def prepare(self, labels: Tensor | None, prompts: Sequence[str] | None) -> dict[str, Any]:
        """The keyword arguments of the network; where samples are guided, of those without prompt first."""
        assert prompts is not None, "text-to-image pipelines always have them"
        condition = self._encode(list(prompts))
        dimension = self.network.config.time_cond_proj_dim
        if dimension is not None:  # the guidance is an input of the network (arXiv 2310.04378, section 4.2)
            scale = torch.full((len(prompts),), self.guidance_scale - 1)
            condition["timestep_cond"] = self.pipeline.get_guidance_scale_embedding(scale, embedding_dim=dimension).to(
                self.network.device, self.network.dtype
            )
        return condition

    def _encode(self, prompts: list[str]) -> dict[str, Any]:
        with_prompt, without = self.pipeline.encode_prompt(prompts, self.network.device, 1, self.guided)
        return {"encoder_hidden_states": torch.cat((without, with_prompt)) if self.guided else with_prompt}

    def denoise(self, x: Tensor, t: Tensor, condition: dict[str, Any]) -> Tensor:
        if not self.guided:
            return self.network(x, t, **condition).sample
        without, with_prompt = self.network(torch.cat((x, x)), t, **condition).sample.chunk(2)
        return without + self.guidance_scale * (with_prompt - without)

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        return self.network(x, t, **self._without_prompt(len(x))).sample

    @torch.no_grad()
    def _without_prompt(self, n: int) -> dict[str, Any]:
        """The keyword arguments of the network for n samples without prompt."""
        _, without = self.pipeline.encode_prompt([""], self.network.device, 1, True)
        return {"encoder_hidden_states": without.expand(n, -1, -1)}

    def decode(self, x: Tensor) -> Tensor:
        mean, scale = self._scaling(x)
        return self.pipeline.vae.decode(x * scale + mean).sample

    def encode(self, images: Tensor) -> Tensor:
        latents = self.pipeline.vae.encode(images).latent_dist.mode()
        mean, scale = self._scaling(latents)
        return (latents - mean) / scale

    def _scaling(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale of the VAE's latents, (1, c, 1, 1) each, where the diffusion's are of mean 0 and scale 1."""
        config = self.pipeline.vae.config
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or deviation is None:
            mean, deviation = [0.0], [1.0]
        mean, deviation = (torch.tensor(values).view(1, -1, 1, 1).to(x) for values in (mean, deviation))
        return mean, deviation / config.scaling_factor


class StableDiffusionXLAdapter(StableDiffusionAdapter):
    """Stable Diffusion XL (arXiv 2307.01952) and SDXL-Turbo: a second text encoder, and the image's size as input."""

    def _encode(self, prompts: list[str]) -> dict[str, Any]:
        with_prompt, without, pooled, pooled_without = self.pipeline.encode_prompt(
            prompts, device=self.network.device, do_classifier_free_guidance=self.guided
        )
        if self.guided:
            with_prompt, pooled = torch.cat((without, with_prompt)), torch.cat((pooled_without, pooled))
        return self._arguments(with_prompt, pooled)

    @torch.no_grad()
    def _without_prompt(self, n: int) -> dict[str, Any]:
        _, without, _, pooled = self.pipeline.encode_prompt(
            [""], device=self.network.device, do_classifier_free_guidance=True
        )
        return self._arguments(without.expand(n, -1, -1), pooled.expand(n, -1))

    def _arguments(self, states: Tensor, pooled: Tensor) -> dict[str, Any]:
        # The size of the image, no crop, and the size aimed at, as the pipeline has them unless told otherwise.
        sizes = torch.tensor([self.image_size, self.image_size, 0, 0, self.image_size, self.image_size])
        times = sizes.to(states).expand(len(states), -1)
        return {"encoder_hidden_states": states, "added_cond_kwargs": {"text_embeds": pooled, "time_ids": times}}


def _upscaling(autoencoder: Any) -> int:
    return 2 ** (len(autoencoder.config.block_out_channels) - 1)


ADAPTERS: dict[str, type[PipelineAdapter]] = {
    "DDPMPipeline": UNetAdapter,
    "DDIMPipeline": UNetAdapter,
    "PNDMPipeline": UNetAdapter,
    "ConsistencyModelPipeline": ConsistencyAdapter,
    "LDMPipeline": LDMAdapter,
    "DiTPipeline": DiTAdapter,
    "StableDiffusionPipeline": StableDiffusionAdapter,
    "LatentConsistencyModelPipeline": StableDiffusionAdapter,
    "StableDiffusionXLPipeline": StableDiffusionXLAdapter,
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
        f"a {name} cannot serve as a generator: these pipelines of images can, without condition, of classes or of "
        f"prompts: {', '.join(ADAPTERS)}"
    )
