"""A pretrained pipeline of diffusers as a generator, for shards; it does not learn.

Shapes: N samples, S pixels a side. Latents are (N, 2) int64: the seed of all of a sample's noise, and its class (-1
where the pipeline takes none). Images are (N, 3, S, S) in [-1, 1].
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from diffusers import __version__ as diffusers_version
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from torch.nn import functional as F

from ..base import Draws, Generator
from .adapters import create_adapter
from .opening import open_pipeline

CONFIG_NAME = "config.json"
_SAVED_OPTIONS = ("image_size", "sampler", "sampling_steps", "classes", "guidance_scale")
_HALF = 2**31


class PretrainedGenerator(Generator):
    """Seeds and classes (N, 2) to images (N, 3, S, S).

    All noise of a sample, the initial and that of each step, comes from its own seed, and is drawn on the CPU, so that
    neither batch nor device changes it.

    Args:
        pipeline: of a class in `adapters.ADAPTERS`.
        image_size: S; images of another size are resized (bilinear with antialiasing). The pipeline's own if not given.
        sampler: `ddim` or `dpm` in place of the pipeline's own scheduler.
        sampling_steps: steps an image; the pipeline's default if not given (1000 for a `DDPMPipeline`).
        classes: which classes to draw from, uniformly; all of them if not given.
        guidance_scale: of a pipeline with classifier-free guidance; its default if not given.

    Raises:
        ValueError: a pipeline that is not served, or an option that it does not take.
    """

    differentiable: ClassVar[bool] = False

    def __init__(
        self,
        pipeline: Any,
        *,
        image_size: int | None = None,
        sampler: str | None = None,
        sampling_steps: int | None = None,
        classes: Sequence[int] | None = None,
        guidance_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.adapter = create_adapter(pipeline)
        self.parts = nn.ModuleDict({k: v for k, v in pipeline.components.items() if isinstance(v, nn.Module)})
        self.options = {
            "image_size": image_size,
            "sampler": sampler,
            "sampling_steps": sampling_steps,
            "classes": None if classes is None else list(classes),
            "guidance_scale": guidance_scale,
        }
        self._image_size = _check_size(image_size or self.adapter.image_size)
        self.scheduler = _choose_scheduler(self.adapter, sampler)
        self.sampling_steps = _check_steps(sampling_steps or self.adapter.default_steps, self.scheduler)
        self.classes = _choose_classes(self.adapter.num_classes, classes)
        if guidance_scale is not None:
            if not hasattr(self.adapter, "guidance_scale"):
                raise ValueError(f"a {type(pipeline).__name__} takes no guidance_scale")
            self.adapter.guidance_scale = guidance_scale

    @property
    def image_size(self) -> int:
        return self._image_size

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def recipe(self) -> dict[str, Any]:
        """What, beside the weights and the latent, an image depends on: for a shard set's recipe."""
        return {
            "pipeline": type(self.adapter.pipeline).__name__,
            "scheduler": type(self.scheduler).__name__,
            **self.options,
            "image_size": self.image_size,
            "sampling_steps": self.sampling_steps,
            "versions": {"diffusers": diffusers_version, "torch": torch.__version__},
        }

    def sample_latents(self, n: int, *, draws: Draws | None = None, device: torch.device | str | None = None) -> Tensor:
        """A seed and a class for each sample, (n, 2) int64; see `Generator.sample_latents`."""
        if draws is None:
            words = torch.randint(_HALF, (n, 2), device=device or self.device)
            choice = torch.randint(max(len(self.classes), 1), (n,), device=words.device)
        elif len(draws) != n:
            raise ValueError(f"{n} latents need {n} draws, not {len(draws)}")
        else:
            words = draws.integers("seed", _HALF, 2)
            choice = draws.integers("class", max(len(self.classes), 1))
        classes = torch.tensor(self.classes or [-1], device=words.device)
        latents = torch.stack((words[:, 0] * _HALF + words[:, 1], classes[choice]), dim=1)
        return latents if device is None else latents.to(device)

    @torch.no_grad()
    def forward(self, latents: Tensor) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in latents[:, 0].tolist()]
        labels = latents[:, 1].to(self.device) if self.classes else None
        x = self._noise(generators)
        takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        extra = {"generator": generators} if takes_generator else {}
        self.scheduler.set_timesteps(self.sampling_steps, device=self.device)
        x = x * self.scheduler.init_noise_sigma
        for t in self.scheduler.timesteps:
            output = self.adapter.denoise(self.scheduler.scale_model_input(x, t), t, labels)
            x = self.scheduler.step(output, t, x, **extra).prev_sample
        return self._finish(self.adapter.decode(x))

    def _noise(self, generators: list[torch.Generator]) -> Tensor:
        shape = (len(generators), *self.adapter.noise_shape)
        return randn_tensor(shape, generator=generators, device=self.device, dtype=self.adapter.network.dtype)

    def _finish(self, images: Tensor) -> Tensor:
        """RGB float32 in [-1, 1] at the size asked for."""
        images = images.float().clamp(-1, 1)
        if images.shape[1] not in (1, 3):
            raise ValueError(f"the pipeline gives {images.shape[1]} channels; a generator needs 1 or 3")
        images = images.expand(-1, 3, -1, -1)
        if images.shape[-1] != self.image_size:
            size = (self.image_size, self.image_size)
            images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False).clamp(-1, 1)
        return images

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the pipeline as diffusers does, and our options in `config.json`."""
        self.adapter.pipeline.save_pretrained(str(directory), safe_serialization=True)
        config = {"_class_name": type(self).__name__, "_diffusers_version": diffusers_version, **self.options}
        (Path(directory) / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        *,
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
        image_size: int | None = None,
        sampler: str | None = None,
        sampling_steps: int | None = None,
        classes: Sequence[int] | None = None,
        guidance_scale: float | None = None,
    ) -> PretrainedGenerator:
        """The pipeline in a folder or with a hub id, in evaluation mode; see `open_pipeline` for what is refused.

        Options that are None are as saved, where `save_pretrained` wrote the folder.
        """
        pipeline = open_pipeline(directory, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
        given = (image_size, sampler, sampling_steps, classes, guidance_scale)
        options = _saved_options(Path(directory) / CONFIG_NAME)
        options |= {name: value for name, value in zip(_SAVED_OPTIONS, given, strict=True) if value is not None}
        return cls(pipeline, **options).eval()


def _saved_options(file: Path) -> dict[str, Any]:
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if config.get("_class_name") != PretrainedGenerator.__name__:
        return {}
    return {name: config.get(name) for name in _SAVED_OPTIONS}


def _check_size(image_size: int) -> int:
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, not {image_size}")
    return image_size


def _choose_scheduler(adapter: Any, sampler: str | None) -> Any:
    """A scheduler of this generator's own, so that no one else's use of the pipeline's disturbs it."""
    own = adapter.pipeline.scheduler
    if sampler is None:
        if type(own).__name__ == "DPMSolverSDEScheduler":
            raise ValueError(
                "DPMSolverSDEScheduler draws one noise for a whole batch, so that a sample would depend on its batch: "
                "choose sampler dpm or ddim"
            )
        return type(own).from_config(own.config)
    if not adapter.samplers:
        raise ValueError(
            f"a {type(adapter.pipeline).__name__} has a sampler of its own: leave sampler {sampler!r} out, and choose "
            "sampling_steps"
        )
    if sampler == "ddim":
        return DDIMScheduler.from_config(own.config)
    if sampler == "dpm":
        # The adapters have taken a learned variance off; the solver must not do so again.
        return DPMSolverMultistepScheduler.from_config(own.config, variance_type=None)
    raise ValueError(f"unknown sampler {sampler!r}: choose from ddim, dpm, or none for the pipeline's own")


def _check_steps(steps: int, scheduler: Any) -> int:
    most = scheduler.config.num_train_timesteps
    if not 1 <= steps <= most:
        raise ValueError(f"the number of sampling steps must be from 1 to {most}, not {steps}")
    return steps


def _choose_classes(num_classes: int | None, classes: Sequence[int] | None) -> list[int]:
    """The classes to draw from; none for a pipeline that takes no labels."""
    if num_classes is None:
        if classes is not None:
            raise ValueError(f"classes {list(classes)}: this pipeline takes no class labels; leave them out")
        return []
    if classes is None:
        return list(range(num_classes))
    if not classes or not all(0 <= label < num_classes for label in classes):
        raise ValueError(f"classes must be some of 0 to {num_classes - 1}, not {list(classes)}")
    return list(classes)
