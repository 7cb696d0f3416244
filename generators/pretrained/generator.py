"""A pretrained pipeline of diffusers as a generator, for shards; `trainable` has those that learn along.

Shapes: N samples, S pixels a side. Latents are (N, 2) int64: the seed of all of a sample's noise, and its condition: a
class, the number of a prompt, or -1 where the pipeline takes neither. Images are (N, 3, S, S) in [-1, 1].
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import __version__ as diffusers_version
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from torch.nn import functional as F

from ..base import Draws, Generator, neighbour_draw
from ..errors import OptionError
from ..fingerprint import config_hash
from ..precision import compute_in
from .adapters import PipelineAdapter, create_adapter
from .opening import open_pipeline
from .schedulers import check_steps, choose_scheduler, first_step_of, step

if TYPE_CHECKING:
    from typing_extensions import Self

CONFIG_NAME = "config.json"
_SAVED_OPTIONS = ("image_size", "sampler", "sampling_steps", "classes", "prompts", "guidance_scale")
_HALF = 2**31


class PretrainedGenerator(Generator):
    """Seeds and conditions (N, 2) to images (N, 3, S, S).

    A batch waits for the device: its noise is drawn on the CPU, and schedulers of diffusers look up the numbers of each
    step on the host by timesteps on the device. Other numbers would be other samples.

    All noise of a sample, the initial and that of each step, comes from its own seed, and is drawn on the CPU, so that
    neither batch nor device changes it.

    Args:
        pipeline: of a class in `adapters.ADAPTERS`.
        image_size: S; images of another size are resized (bilinear with antialiasing). The pipeline's own if not given.
        sampler: `ddim` or `dpm` in place of the pipeline's own scheduler.
        sampling_steps: steps an image; the pipeline's default if not given (1000 for a `DDPMPipeline`).
        classes: which classes to draw from, uniformly; all of them if not given.
        prompts: what to draw, of a pipeline that takes prompts: sample i is of the prompt i modulo their number.
        guidance_scale: of a pipeline with classifier-free guidance; its default if not given.

    Raises:
        ValueError: a pipeline that is not served, or an option that it does not take.
    """

    differentiable: ClassVar[bool] = False

    gradient_steps: int = 0
    """How many of the last sampling steps carry a gradient."""

    def __init__(
        self,
        pipeline: Any,
        *,
        image_size: int | None = None,
        sampler: str | None = None,
        sampling_steps: int | None = None,
        classes: Sequence[int] | None = None,
        prompts: Sequence[str] | None = None,
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
            "prompts": None if prompts is None else list(prompts),
            "guidance_scale": guidance_scale,
        }
        self._image_size = _check_size(self.adapter.image_size if image_size is None else image_size)
        self.scheduler = choose_scheduler(self.adapter, sampler)
        steps = self.adapter.default_steps if sampling_steps is None else sampling_steps
        self.sampling_steps = check_steps(steps, self.scheduler)
        self.classes = _choose_classes(self.adapter.num_classes, classes)
        self.prompts = _choose_prompts(self.adapter, prompts)
        if guidance_scale is not None:
            if not hasattr(self.adapter, "guidance_scale"):
                raise OptionError(f"a {type(pipeline).__name__} takes no guidance_scale")
            self.adapter.guidance_scale = guidance_scale
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: in training mode some networks drop class labels at random."""
        return super().train(False)

    @property
    def image_size(self) -> int:
        return self._image_size

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def recipe(self) -> dict[str, Any]:
        """What, beside the weights and the latent, an image depends on: for a shard set's recipe."""
        configs = [_plain(part.config) for part in self.parts.values()]
        versions = {"diffusers": diffusers_version, "torch": torch.__version__}
        options: dict[str, Any] = {name: value for name, value in self.options.items() if name != "prompts"}
        if self.adapter.takes_prompts:
            digest = hashlib.sha256(json.dumps(self.prompts).encode()).hexdigest()
            options["prompts"] = {"number": len(self.prompts), "sha256": digest}
            versions["transformers"] = importlib.metadata.version("transformers")
        return {
            "pipeline": type(self.adapter.pipeline).__name__,
            "scheduler": type(self.scheduler).__name__,
            **options,
            "image_size": self.image_size,
            "sampling_steps": self.sampling_steps,
            "config": config_hash(self.scheduler.config, *configs),
            "versions": versions,
        }

    @property
    def sampling(self) -> str:
        return f"{type(self.scheduler).__name__} in {self.sampling_steps} steps"

    def sample_latents(self, n: int, *, draws: Draws | None = None, device: torch.device | str | None = None) -> Tensor:
        """A seed and a condition for each sample, (n, 2) int64; see `Generator.sample_latents`."""
        if draws is None:
            words = torch.randint(_HALF, (n, 2), device=device or self.device)
            choice = torch.randint(max(len(self.classes), 1), (n,), device=words.device)
            numbers = torch.arange(n, device=words.device)
        elif len(draws) != n:
            raise ValueError(f"{n} latents need {n} draws, not {len(draws)}")
        else:
            words = draws.integers("seed", _HALF, 2)
            choice = draws.integers("class", max(len(self.classes), 1))
            numbers = draws.indices
        if self.prompts:
            conditions = numbers % len(self.prompts)
        else:
            conditions = torch.tensor(self.classes or [-1], device=words.device)[choice]
        latents = _with_seed(words, conditions)
        return latents if device is None else latents.to(device)

    def with_classes(self, latents: Tensor, labels: Tensor) -> Tensor:
        if not self.classes:
            return latents
        if others := sorted(set(labels.tolist()) - set(self.classes)):
            raise OptionError(
                f"an image has the label {others[0]}, which is none of the classes that the pipeline draws from: "
                f"{self.classes[0]} to {self.classes[-1]}"
            )
        return torch.stack((latents[:, 0], labels), dim=1)

    def describe(self, latents: Tensor) -> dict[str, list[Any]]:
        """`class` or `prompt`, and `guidance`, where the pipeline takes them; see `Generator.describe`."""
        conditions = latents[:, 1].tolist()
        found: dict[str, list[Any]] = {}
        if self.classes:
            found["class"] = conditions
        if self.prompts:
            found["prompt"] = [self.prompts[number] for number in conditions]
        if found and hasattr(self.adapter, "guidance_scale"):
            found["guidance"] = [float(self.adapter.guidance_scale)] * len(conditions)
        return found

    @torch.no_grad()
    def forward(self, latents: Tensor) -> Tensor:
        return self._finish(self._solve(latents))

    @torch.no_grad()
    def forward_group(self, latents: Tensor, size: int, strength: float | None, draws: Draws) -> list[Tensor]:
        """Images, and neighbours of the same class or prompt. See `Generator.forward_group`."""
        with compute_in(self.computes_in, self.device.type):
            clean = self._solve(latents)
            return [self._finish(clean), *self._neighbours(latents, clean, size - 1, strength, draws)]

    @torch.no_grad()
    def neighbours(
        self, latents: Tensor, count: int, strength: float | None, draws: Draws, *, images: Tensor | None = None
    ) -> list[Tensor]:
        """Each image with noise put in part of the way, and denoised again; without strength, from new noise alone.

        It is done where the diffusion is, so in the latent space of a pipeline that has one. The strength is rounded to
        a number of sampling steps. See `Generator.neighbours`.
        """
        with compute_in(self.computes_in, self.device.type):
            clean = None if strength is None else self._solve(latents)
            return self._neighbours(latents, clean, count, strength, draws)

    def _neighbours(
        self, latents: Tensor, clean: Tensor | None, count: int, strength: float | None, draws: Draws
    ) -> list[Tensor]:
        self.check_group(strength)
        found = []
        for number in range(count):
            words = draws.integers(neighbour_draw(number), _HALF, 2).to(latents.device)
            others = _with_seed(words, latents[:, 1])
            x = self._solve(others) if strength is None else self._solve(others, clean, self._first_step(strength))
            found.append(self._finish(x))
        return found

    @torch.no_grad()
    def vary(self, images: Tensor, latents: Tensor, count: int, strength: float, draws: Draws) -> list[Tensor]:
        """SDEdit (arXiv 2108.01073) of given images, where the diffusion is; see `Generator.vary`."""
        size = (self.adapter.image_size,) * 2
        if images.shape[-1] != self.adapter.image_size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False).clamp(-1, 1)
        with compute_in(self.computes_in, self.device.type):
            clean = self.adapter.encode(images.to(self.adapter.network.dtype))
            return self._neighbours(latents, clean, count, strength, draws)

    def check_variations(self, strength: float) -> None:
        self.check_group(strength)

    def check_group(self, strength: float | None) -> None:
        if strength is not None:
            self._first_step(strength)
        elif not self.classes and not self.prompts:
            raise OptionError(
                f"a {type(self.adapter.pipeline).__name__} has no classes and no prompts to group images by"
            )

    def _first_step(self, strength: float) -> int:
        """The index of the step at which a neighbour begins."""
        self.scheduler.set_timesteps(self.sampling_steps, device=self.device)
        return first_step_of(self.scheduler, strength)

    def _solve(self, latents: Tensor, clean: Tensor | None = None, first: int = 0) -> Tensor:
        """What the last step gives: from noise, or from `clean` with noise put in, from step number `first` on."""
        generators = [torch.Generator().manual_seed(seed) for seed in latents[:, 0].tolist()]
        labels = latents[:, 1].to(self.device) if self.classes else None
        prompts = [self.prompts[number] for number in latents[:, 1].tolist()] if self.prompts else None
        with torch.no_grad():
            condition = self.adapter.prepare(labels, prompts)
        shape = (len(generators), *self.adapter.noise_shape)
        x = randn_tensor(shape, generator=generators, device=self.device, dtype=self.adapter.network.dtype)
        self.scheduler.set_timesteps(self.sampling_steps, device=self.device)
        timesteps = self.scheduler.timesteps[first:]
        with_gradient = len(timesteps) - self.gradient_steps
        if clean is None:
            x = x * self.scheduler.init_noise_sigma
        else:
            if hasattr(self.scheduler, "set_begin_index"):
                self.scheduler.set_begin_index(first)
            x = self.scheduler.add_noise(clean, x, timesteps[:1].expand(len(x)))
        for number, t in enumerate(timesteps):
            with torch.set_grad_enabled(torch.is_grad_enabled() and number >= with_gradient):
                output = self.adapter.denoise(self.scheduler.scale_model_input(x, t), t, condition)
                x = step(self.scheduler, output.to(x.dtype), t, x, generators)
        return x

    def decode(self, x: Tensor) -> Tensor:
        """See `PipelineAdapter.decode`."""
        return self.adapter.decode(x)

    def _finish(self, x: Tensor) -> Tensor:
        """RGB float32 in [-1, 1] at the size asked for."""
        images = self.decode(x).float().clamp(-1, 1)
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
        config = {"_class_name": PretrainedGenerator.__name__, "_diffusers_version": diffusers_version, **self.options}
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
        prompts: Sequence[str] | None = None,
        guidance_scale: float | None = None,
    ) -> Self:
        """The pipeline in a folder or with a hub id, in evaluation mode; see `open_pipeline` for what is refused.

        Options that are None are as saved, where `save_pretrained` wrote the folder.
        """
        pipeline = open_pipeline(directory, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
        given = (image_size, sampler, sampling_steps, classes, prompts, guidance_scale)
        options = _saved_options(Path(directory) / CONFIG_NAME)
        options |= {name: value for name, value in zip(_SAVED_OPTIONS, given, strict=True) if value is not None}
        return cls(pipeline, **options).eval()


def _saved_options(file: Path) -> dict[str, Any]:
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if config.get("_class_name") != PretrainedGenerator.__name__:
        return {}
    return {name: config.get(name) for name in _SAVED_OPTIONS}


def _with_seed(words: Tensor, conditions: Tensor) -> Tensor:
    """Latents (N, 2) of two words (N, 2), each below 2^31, and conditions (N,)."""
    return torch.stack((words[:, 0] * _HALF + words[:, 1], conditions), dim=1)


def _plain(config: Any) -> Any:
    """The configuration of a part: of transformers' parts, as a dict."""
    return config.to_dict() if hasattr(config, "to_dict") else config


def _check_size(image_size: int) -> int:
    if image_size < 1:
        raise OptionError(f"image_size must be at least 1 pixel, not {image_size}")
    return image_size


def _choose_classes(num_classes: int | None, classes: Sequence[int] | None) -> list[int]:
    """The classes to draw from; none for a pipeline that takes no labels."""
    if num_classes is None:
        if classes is not None:
            raise OptionError(f"classes {list(classes)}: this pipeline takes no class labels; leave them out")
        return []
    if classes is None:
        return list(range(num_classes))
    if not classes or not all(0 <= label < num_classes for label in classes):
        raise OptionError(f"classes must be some of 0 to {num_classes - 1}, not {list(classes)}")
    return list(classes)


def _choose_prompts(adapter: PipelineAdapter, prompts: Sequence[str] | None) -> list[str]:
    """The prompts to draw; none for a pipeline that takes none."""
    if not adapter.takes_prompts:
        if prompts is not None:
            raise OptionError(f"a {type(adapter.pipeline).__name__} takes no prompts; leave them out")
        return []
    if not prompts:
        raise OptionError(f"a {type(adapter.pipeline).__name__} draws what prompts say; give some")
    return list(prompts)
