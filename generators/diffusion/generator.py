"""A diffusion model as a generator: the initial noise is the latent, a few steps of a solver are the map.

Shapes: N samples, S pixels a side. Latents are (N, 3, S, S), standard normal; images (N, 3, S, S) in [-1, 1].

On disk it is a pipeline that `diffusers.DiffusionPipeline.from_pretrained` opens as it is, a `DDIMPipeline`, with a
`config.json` of ours beside its `model_index.json` that holds the solver to use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from diffusers import __version__ as diffusers_version
from torch import Tensor

from ..base import Draws, neighbour_draw
from ..errors import OptionError
from ..fingerprint import config_hash
from ..precision import compute_in
from .denoising import Denoiser
from .objective import check_prediction, check_schedule, clean_image
from .solvers import check_sampler, coefficients, solve, trailing_timesteps

CONFIG_NAME = "config.json"
SOLVER_OPTIONS = ("sampler", "sampling_steps", "gradient_steps")


class DiffusionGenerator(Denoiser):
    """Noise (N, 3, S, S) to images (N, 3, S, S), the same image for the same noise.

    Args:
        unet: predicts what `scheduler.config.prediction_type` says, `epsilon` or `v_prediction`.
        scheduler: its noise schedule is used; steps are those of `solvers`.
        sampler: `dpm`, DPM-Solver++(2M), or `ddim`.
        sampling_steps: network evaluations an image. 20 is ours.
        gradient_steps: how many of the last steps carry a gradient (DRaFT-K, arXiv 2309.17400); 1 is their cheapest.

    Raises:
        ValueError: a network that is no unconditional one for square RGB images, or an option out of range.
    """

    differentiable: ClassVar[bool] = True

    def __init__(
        self,
        unet: UNet2DModel,
        scheduler: DDIMScheduler,
        *,
        sampler: str = "dpm",
        sampling_steps: int = 20,
        gradient_steps: int = 1,
    ) -> None:
        super().__init__()
        _check_unet(unet)
        self.unet, self.scheduler = unet, scheduler
        self.alphas_on_host: list[float] = scheduler.alphas_cumprod.tolist()
        self.prediction = check_prediction(scheduler.config.prediction_type)
        check_schedule(self.prediction, self.alphas_cumprod)
        self.configure(sampler=sampler, sampling_steps=sampling_steps, gradient_steps=gradient_steps)
        self.eval()

    def configure(
        self, *, sampler: str | None = None, sampling_steps: int | None = None, gradient_steps: int | None = None
    ) -> None:
        """Change the solver; what is None stays. Raises ValueError for a value out of range."""
        if sampler is not None:
            self.sampler = check_sampler(sampler)
        if sampling_steps is not None:
            trailing_timesteps(self.num_timesteps, sampling_steps)
            self.sampling_steps = sampling_steps
        if gradient_steps is not None:
            if gradient_steps < 1:
                raise OptionError(f"gradient_steps must be at least 1, not {gradient_steps}")
            self.gradient_steps = gradient_steps

    @property
    def image_size(self) -> int:
        return self.unet.config.sample_size

    @property
    def network(self) -> UNet2DModel:
        return self.unet

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def num_timesteps(self) -> int:
        """T, the timesteps of training."""
        return self.scheduler.config.num_train_timesteps

    @property
    def alphas_cumprod(self) -> Tensor:
        """(T,) float32, on the CPU."""
        return self.scheduler.alphas_cumprod

    @property
    def recipe(self) -> dict[str, Any]:
        """What, beside the weights and the latent, an image depends on: for a shard set's recipe."""
        return {
            "sampler": self.sampler,
            "sampling_steps": self.sampling_steps,
            "bf16": self.computes_in == "bf16",
            "config": config_hash(self.unet.config, self.scheduler.config),
            "versions": {"diffusers": diffusers_version, "torch": torch.__version__},
        }

    @property
    def sampling(self) -> str:
        return f"{self.sampler} in {self.sampling_steps} steps"

    def sample_latents(self, n: int, *, draws: Draws | None = None, device: torch.device | str | None = None) -> Tensor:
        """Initial noise (n, 3, S, S); see `Generator.sample_latents`."""
        shape = (3, self.image_size, self.image_size)
        if draws is None:
            return torch.randn(n, *shape, device=device or self.device)
        if len(draws) != n:
            raise ValueError(f"{n} latents need {n} draws, not {len(draws)}")
        latents = draws.normal("latents", *shape)
        return latents if device is None else latents.to(device)

    def predict(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """The network's output (N, 3, S, S) float32 for noisy images at timesteps () or (N,).

        The network alone is in the generator's precision; the solver around it stays in float32.
        """
        with compute_in(self.computes_in, x.device.type):
            return self.unet(x, timesteps).sample.float()

    def forward(self, latents: Tensor) -> Tensor:
        timesteps = trailing_timesteps(self.num_timesteps, self.sampling_steps)
        return self._solve(latents, timesteps)

    def neighbours(
        self, latents: Tensor, count: int, strength: float | None, draws: Draws, *, images: Tensor | None = None
    ) -> list[Tensor]:
        """Each image with fresh noise put in part of the way, and denoised again.

        This is how SDEdit (Meng et al. 2022, arXiv 2108.01073) keeps the coarse of an image and redraws the fine. The
        network runs `sampling_steps` times for the image and about `strength` times that for each neighbour.

        Args:
            latents: (N, 3, S, S).
            count: neighbours of each.
            strength: how far up in time the noise goes, in (0, 1]. Near 0 a neighbour is the image; at 1 it is another.
            draws: N draws, for the neighbours' noise.
            images: (N, 3, S, S) of the latents, where they have been made.

        Returns:
            `count` tensors (N, 3, S, S) in [-1, 1].

        Raises:
            OptionError: a strength out of range, or None.
        """
        self.check_group(strength)
        assert strength is not None, "neighbours of this kind are at a distance"
        # Ours: as many steps as the whole way has in that part of it, and two at the least.
        steps = max(round(strength * self.sampling_steps), min(2, self.sampling_steps))
        timesteps = trailing_timesteps(self.num_timesteps, steps, strength)
        images = self(latents) if images is None else images
        alpha, sigma = coefficients(self.alphas_on_host, timesteps[0])
        found = []
        for number in range(count):
            noise = draws.normal(neighbour_draw(number), *images.shape[1:]).to(images.device)
            found.append(self._solve(alpha * images + sigma * noise, timesteps))
        return found

    def vary(self, images: Tensor, latents: Tensor, count: int, strength: float, draws: Draws) -> list[Tensor]:
        """SDEdit (arXiv 2108.01073) of given images; see `Generator.vary`."""
        return self.neighbours(latents, count, strength, draws, images=images)

    def check_variations(self, strength: float) -> None:
        self.check_group(strength)

    def _solve(self, x: Tensor, timesteps: list[int]) -> Tensor:
        return solve(
            self._clean,
            x,
            timesteps,
            self.alphas_on_host,
            sampler=self.sampler,
            gradient_steps=self.gradient_steps,
        )

    def _clean(self, x: Tensor, t: int) -> Tensor:
        output = self.predict(x, torch.full((), t, device=x.device))
        return clean_image(output, x, *coefficients(self.alphas_on_host, t), self.prediction)

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the pipeline (`model_index.json`, `unet/`, `scheduler/`), and the solver in `config.json`."""
        DDIMPipeline(unet=self.unet, scheduler=self.scheduler).save_pretrained(str(directory), safe_serialization=True)
        config = {"_class_name": type(self).__name__, "_diffusers_version": diffusers_version}
        config |= {"image_size": self.image_size} | {name: getattr(self, name) for name in SOLVER_OPTIONS}
        (Path(directory) / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        *,
        sampler: str | None = None,
        sampling_steps: int | None = None,
        gradient_steps: int | None = None,
    ) -> DiffusionGenerator:
        """The generator in a folder, in evaluation mode; any `DDPMPipeline` or `DDIMPipeline` for RGB images will do.

        Only safetensors are read. Options that are None are as saved.

        Raises:
            ValueError: no such network in the folder, or an option out of range.
        """
        try:
            unet = UNet2DModel.from_pretrained(str(directory), subfolder="unet", use_safetensors=True)
            saved = DDIMScheduler.load_config(str(directory), subfolder="scheduler")
        except OSError as error:
            raise ValueError(f"no diffusion generator in {str(directory)!r}: {error}") from error
        scheduler = DDIMScheduler.from_config(saved, timestep_spacing="trailing")
        file = Path(directory) / CONFIG_NAME
        config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        generator = cls(unet, scheduler, **{k: config[k] for k in SOLVER_OPTIONS if k in config})
        generator.configure(sampler=sampler, sampling_steps=sampling_steps, gradient_steps=gradient_steps)
        return generator.eval()


def _check_unet(unet: UNet2DModel) -> None:
    config = unet.config
    if (config.in_channels, config.out_channels) != (3, 3) or not isinstance(config.sample_size, int):
        raise ValueError(
            "a diffusion generator needs a network from RGB to RGB of a fixed square size, not one from "
            f"{config.in_channels} to {config.out_channels} channels at sample_size {config.sample_size}"
        )
    if config.num_class_embeds is not None or config.class_embed_type is not None:
        raise ValueError("a diffusion generator is unconditional, and this network takes class labels")
