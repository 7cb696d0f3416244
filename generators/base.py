"""What a generator is, and what trains one: the contract that every kind meets and that the pipeline relies on.

Shapes: N samples, S pixels a side. Images are float32 in [-1, 1], (N, 3, S, S). Latents are whatever the kind uses,
with N first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from .errors import ContractError, OptionError
from .precision import compute_in


class Draws(Protocol):
    """Random numbers for N samples, each a function of its sample and of the name it is drawn under, not of history.

    The pipeline's counter-based draws meet this; generators know no more of them than this.
    """

    @property
    def indices(self) -> Tensor:
        """(N,) int64, the samples' numbers."""

    def __len__(self) -> int: ...

    def __getitem__(self, item: slice | Tensor) -> Draws: ...

    def uniform(self, name: str, *shape: int) -> Tensor:
        """(N, *shape) float32 in [0, 1)."""

    def normal(self, name: str, *shape: int) -> Tensor:
        """(N, *shape) float32, standard normal."""

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """(N, *shape) int64 in [0, high)."""


class Generator(nn.Module, ABC):
    """A map from latents to images.

    A sample depends on its own latent alone: not on the others of its batch, and not on any random state, so that
    batch size and number of processes do not choose its pixels (beyond float rounding).
    """

    differentiable: ClassVar[bool] = False
    """Whether `forward` carries a gradient from the images to the parameters, as joint training needs: for kinds that
    have a trainer. A class of the user's has none, and need not say."""

    computes_in: str = "fp32"
    """The precision of a call, `fp32`, `bf16` or `fp16`, whatever autocast the caller is under."""

    @property
    def sampling(self) -> str | None:
        """How it draws, in a few words, where one set of weights can draw in several ways; None where it cannot."""
        return None

    def __call__(self, latents: Tensor) -> Tensor:
        """`forward`, in the generator's precision.

        Raises:
            ContractError: `forward` gives no tensor.
        """
        with compute_in(self.computes_in, latents.device.type):
            images = super().__call__(latents)
        if not isinstance(images, Tensor):
            what = "None" if images is None else f"a {type(images).__name__}"
            raise ContractError(f"{type(self).__name__}.forward must give images, a tensor (N, 3, S, S), not {what}")
        return images.to(torch.promote_types(images.dtype, torch.float32))

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Pixels a side, S."""

    @abstractmethod
    def sample_latents(self, n: int, *, draws: Draws | None = None, device: torch.device | str | None = None) -> Tensor:
        """n latents, each from its own draws.

        Args:
            n: how many.
            draws: `len(draws) == n`; without them torch's global generator is used (notebooks).
            device: where to; the draws' device, or else the generator's, if not given.
        """

    @abstractmethod
    def forward(self, latents: Tensor) -> Tensor:
        """Images (N, 3, S, S) float32 in [-1, 1] of N latents."""

    def forward_group(self, latents: Tensor, size: int, strength: float | None, draws: Draws) -> list[Tensor]:
        """Images of N latents, and `neighbours` of each: V positives of one another.

        The first images of a group are those of a smaller one.

        Args:
            latents: (N, ...).
            size: V, images of a latent, at least 1.
            strength: how far neighbours are, as `neighbours` takes it.
            draws: N draws, for what each neighbour has of its own.

        Returns:
            V tensors (N, 3, S, S) in [-1, 1].

        Raises:
            OptionError: as `check_group`.
        """
        self.check_group(strength)
        images = self(latents)
        return [images, *self.neighbours(latents, size - 1, strength, draws, images=images)]

    def neighbours(
        self, latents: Tensor, count: int, strength: float | None, draws: Draws, *, images: Tensor | None = None
    ) -> list[Tensor]:
        """Images similar to those of N latents, but distinct, without a second generator.

        For standard normal latents z: a neighbour's is sqrt(1 - s^2) z + s e with fresh normal e, which is standard
        normal too, so that neighbours are samples like any other (as in Jahanian et al. 2022, arXiv 2106.05258, but
        staying on the prior). Other kinds have their own way.

        Args:
            latents: (N, ...).
            count: images of each.
            strength: s in (0, 1]: near 0 a neighbour is the image; at 1 it is another. None: it has the latent's class
                or prompt in common with the image, and nothing else.
            draws: N draws; neighbour i has its own under the name `neighbour_draw(i)`.
            images: (N, 3, S, S) of the latents themselves, where they have been made, for kinds that start from them.

        Returns:
            `count` tensors (N, 3, S, S) in [-1, 1].

        Raises:
            OptionError: as `check_group`.
        """
        self.check_group(strength)
        assert strength is not None, "without classes and prompts neighbours are at a distance"
        found = []
        for number in range(count):
            fresh = draws.normal(neighbour_draw(number), *latents.shape[1:]).to(latents)
            found.append(self((1 - strength**2) ** 0.5 * latents + strength * fresh))
        return found

    def check_group(self, strength: float | None) -> None:
        """Whether `forward_group` can serve, before anything is drawn or written.

        Raises:
            OptionError: a strength out of range, or a generator that has no such groups as it is set up.
        """
        if strength is None:
            raise OptionError(f"a {type(self).__name__} has no classes and no prompts to group images by")
        check_strength(strength)

    def vary(self, images: Tensor, latents: Tensor, count: int, strength: float, draws: Draws) -> list[Tensor]:
        """Variations of given images: what `neighbours` makes of its own, for images from elsewhere.

        Args:
            images: (N, 3, S, S) in [-1, 1].
            latents: (N, ...), for their classes or prompts alone, where there are any.
            count: variations of each.
            strength: s in (0, 1]: near 0 a variation is the image; at 1 it has nothing of it.
            draws: N draws, as for `neighbours`.

        Returns:
            `count` tensors (N, 3, S, S) in [-1, 1].

        Raises:
            OptionError: as `check_variations`.
        """
        raise self._no_variations()

    def check_variations(self, strength: float) -> None:
        """Whether `vary` can serve, before anything is drawn or written.

        Raises:
            OptionError: a strength out of range, or a generator that has no way from an image to a latent.
        """
        raise self._no_variations()

    def _no_variations(self) -> OptionError:
        return OptionError(
            f"a {type(self).__name__} has no way from an image to a latent, and so no variations of given images; a "
            "diffusion model has (`synthcl pretrain --generator diffusion`, or a pipeline of diffusers)"
        )

    def with_classes(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Latents (N, ...) as they are but for their classes, which are `labels` (N,) int64; the same latents where the
        generator knows no classes.

        Raises:
            OptionError: a class that it does not draw from.
        """
        return latents

    def describe(self, latents: Tensor) -> dict[str, list[Any]]:
        """What is known of samples beside their images: `class` (numbers), `prompt` (text), a value for each latent.

        The names are the same for all latents. {} for a generator without conditions.

        Args:
            latents: (N, ...).
        """
        return {}

    @property
    def recipe(self) -> dict[str, Any]:
        """What a sample depends on besides the weights and its latent: plain values, for a shard set's recipe."""
        return {}

    @abstractmethod
    def save_pretrained(self, directory: str | Path) -> None:
        """Write `config.json` and safetensors the diffusers way, for `from_pretrained`."""

    @classmethod
    @abstractmethod
    def from_pretrained(cls, directory: str | Path) -> Generator:
        """The generator that `save_pretrained` wrote. Kinds may take options, as keyword arguments with defaults."""


def neighbour_draw(number: int) -> str:
    """The name that neighbour `number`, from 0 on, draws what it has of its own under."""
    return "pair" if number == 0 else f"neighbour {number}"


def check_strength(strength: float) -> None:
    """Raises OptionError for the strength of a group that is not in (0, 1]."""
    if not 0 < strength <= 1:
        raise OptionError(f"the strength of a group must be above 0 and at most 1, not {strength}")


Synchronise = Callable[[Iterable[nn.Parameter]], None]
"""Averages the gradients of parameters over all processes, in place; the identity in one process."""


def no_synchronisation(parameters: Iterable[nn.Parameter]) -> None:
    """What `Synchronise` is in one process: gradients stay as they are."""


class GeneratorTrainer(ABC):
    """What trains a generator G on real images, alone (pretraining) or together with a learner (joint training).

    One trainer serves both: joint training is pretraining with one more gradient on the images. `ema` is the moving
    average of G's weights; it is what pretraining saves, and the second generator of a positive pair.

    Attributes:
        generator: G.
        ema: its moving average.
        ema_decay: of the average, a step, in [0, 1). It may be changed between steps, as a target for the similarity of
            pairs does.
        num_steps: steps done, which schedules follow; `state_dict` has it by this name.
        preset: the name of the preset that `create` took, which "auto" came to; None otherwise.

    The keyword arguments of a kind's class are its options. Every kind has `device`, `synchronise`, `learning_rate` (of
    all that learns), `decay` and `total_steps` (the last part of that many steps, over which learning rates fall),
    `ema_decay`, and `precision` (fp32 or bf16, what `generator` and `ema` compute in; see `check_trained_precision`).
    """

    generator: Generator
    ema: Generator
    ema_decay: float
    num_steps: int
    preset: str | None = None

    @classmethod
    @abstractmethod
    def create(cls, image_size: int, *, preset: str = "auto", **options: Any) -> GeneratorTrainer:
        """A trainer with untrained weights, drawn from torch's global generator.

        Args:
            image_size: S, in pixels.
            preset: the size of the networks and the values of the options, by a name that the kind knows.
            options: the options that override the preset's.

        Raises:
            ValueError: an unknown preset, a size that the kind cannot make, or an option with a wrong value.
        """

    @classmethod
    @abstractmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> GeneratorTrainer:
        """Take up what `save_pretrained` wrote, for joint training.

        `ema` is the saved average. G goes on from its own weights where the kind saves them, with the states of the
        optimizers and the options; otherwise from the average.

        Args:
            directory: the folder.
            options: those that override the saved ones, or the kind's own.

        Raises:
            ValueError, OSError: a folder whose files are missing or damaged, or an option with a wrong value.
        """

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """What it trains with: plain values by name, for the record."""

    @property
    def origin(self) -> tuple[type[Generator], dict[str, Tensor]] | None:
        """The class and the weights of what `load_generator` opens where this was taken up, before any step.

        None where they are those of `ema`, with nothing put into it and no class for training around it.
        """
        return None

    @abstractmethod
    def step(
        self,
        real: Tensor,
        draws: Draws,
        *,
        images: Tensor | None = None,
        hard_gradient: Tensor | None = None,
        hard_bound: float | Tensor = 1.0,
        bound_on: str = "images",
    ) -> dict[str, Tensor]:
        """One update of everything that learns, and of the moving average.

        Args:
            real: (N, 3, S, S) float32 in [-1, 1], this process's real images.
            draws: N draws, for latents, noise and augmentation.
            images: (N, 3, S, S) what `generator` gave for latents of the caller's, with its graph. Without it the
                trainer draws its own latents, if it needs any.
            hard_gradient: (N, 3, S, S) the gradient *of the loss that G is to minimise* with respect to `images`, to
                be added to the trainer's own: in joint training the reversed gradient of the learner's loss. Zeros
                change nothing, bit for bit.
            hard_bound: the largest ratio of the norm of the hard gradient to that of the trainer's own.
            bound_on: where the two are compared: "images", sample by sample, or "parameters", all of G's together. A
                kind whose own gradient is not one at the images compares parameters in any case.

        Returns:
            Scalars to log, detached, by name.
        """

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights, by name, for saving: `generator`, `ema` and the kind's own."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that a step depends on: weights, moving average, optimizers. Tensors and plain values only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    @abstractmethod
    def save_pretrained(self, directory: str | Path) -> None:
        """Write `ema` so that `load_generator(directory)` opens it, and beside it, in subfolders, what joint training
        takes up again. JSON and safetensors only."""
