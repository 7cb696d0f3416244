"""The images of samples by their index, as `write_shard_set` asks for them: drawn, or made of real images.

Shapes: N samples of V images, S pixels a side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...generators import Generator
from ..data import ImageStore
from ..errors import DataError
from ..randomness import Draws, Key
from ..runtime.readback import Readback, sent
from ..shards.sidecar import CONDITIONS


@dataclass(frozen=True)
class Samples:
    """What a shard set is made of.

    Attributes:
        recipe: what the samples are a function of.
        num_samples: how many the set has.
        render: images by index; see `Drawing.begin`.
        describe: what samples are drawn for; None where the generator has nothing to say.
        columns: of the sidecars, that `describe` gives.
        labels: what is in the tars too, as `write_shard_set` takes it.
    """

    recipe: dict[str, Any]
    num_samples: int
    render: Callable[[np.ndarray], Any]
    describe: Callable[[np.ndarray], Mapping[str, Sequence[Any]]] | None = None
    columns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendered:
    """Images of samples on their way to the host.

    Attributes:
        images: (N, V, 3, S, S) uint8.
        finite: (1,), whether all were numbers; None where it is not asked, as only fp16 overflows.
    """

    images: Readback
    finite: Readback | None

    def array(self) -> np.ndarray:
        """(N, V, 3, S, S) uint8.

        Raises:
            DataError: images that are no numbers, in fp16.
        """
        _check_finite(self.finite)
        return self.images.array()


class Drawing(ABC):
    """What makes images of a generator, by the indices of samples.

    Attributes:
        generator: frozen.
        key: what is drawn from.
        device: where the generator is.
    """

    generator: Generator
    key: Key
    device: torch.device

    @torch.inference_mode()
    def __call__(self, indices: np.ndarray) -> Tensor:
        """(N, V, 3, S, S) uint8 of samples (N,), on the device; in fp16 it waits for them.

        Raises:
            DataError: images that are no numbers, in fp16.
        """
        images = torch.stack(self._images(indices, self._draws(indices)), dim=1)
        _check_finite(self._finite(images))
        return samples_to_bytes(images)

    @torch.inference_mode()
    def begin(self, indices: np.ndarray) -> Rendered:
        """The same on their way to the host. Nothing waits for them until they are asked for."""
        images = torch.stack(self._images(indices, self._draws(indices)), dim=1)
        return Rendered(Readback(samples_to_bytes(images)), self._finite(images))

    @abstractmethod
    def _images(self, indices: np.ndarray, draws: Draws) -> list[Tensor]:
        """V tensors (N, 3, S, S) in [-1, 1] of samples (N,)."""

    def _draws(self, indices: np.ndarray) -> Draws:
        return self.key.at(sent(torch.from_numpy(indices), self.device))

    def _finite(self, images: Tensor) -> Readback | None:
        return Readback(torch.isfinite(images).all().reshape(1)) if self.generator.computes_in == "fp16" else None


@dataclass(frozen=True)
class Renderer(Drawing):
    """Draws samples of a generator.

    Attributes:
        generator: frozen.
        key: what the latents are drawn from.
        device: where the generator is.
        group_size: images of a sample, V.
        strength: how far the others of a sample are from the first, as for `Generator.forward_group`.
    """

    generator: Generator
    key: Key
    device: torch.device
    group_size: int = 1
    strength: float | None = None

    def _images(self, indices: np.ndarray, draws: Draws) -> list[Tensor]:
        latents = self.generator.sample_latents(len(indices), draws=draws)
        if self.group_size == 1:
            return [self.generator(latents)]
        return self.generator.forward_group(latents, self.group_size, self.strength, draws)

    @torch.inference_mode()
    def describe(self, indices: np.ndarray) -> dict[str, list[Any]]:
        """What samples (N,) are drawn for; see `Generator.describe`.

        Raises:
            DataError: the generator describes them by other names than a shard set has columns for.
        """
        draws = self.key.at(torch.from_numpy(indices))
        return described(self.generator, self.generator.sample_latents(len(indices), draws=draws))


@dataclass(frozen=True)
class Varier(Drawing):
    """Makes variations of real images: sample i is of image i modulo their number.

    Attributes:
        generator: frozen; one with `vary`.
        key: what the variations are drawn from.
        device: where the generator is.
        anchors: the real images, of S pixels a side.
        strength: how far a variation is from its image, as for `Generator.vary`.
        group_size: variations of an image in a sample, V.
    """

    generator: Generator
    key: Key
    device: torch.device
    anchors: ImageStore
    strength: float
    group_size: int = 1

    def _images(self, indices: np.ndarray, draws: Draws) -> list[Tensor]:
        images = sent(self.anchors.read(indices % len(self.anchors)), self.device).float() / 127.5 - 1
        return self.generator.vary(images, self._latents(indices, draws), self.group_size, self.strength, draws)

    @torch.inference_mode()
    def describe(self, indices: np.ndarray) -> dict[str, list[Any]]:
        """The `anchor` of samples (N,), its position in its set (`anchor_index`) and, where it has a label, that as
        `class`, beside what the generator says."""
        positions = self.anchors.origin()[1]
        numbers = indices % len(self.anchors)
        found: dict[str, list[Any]] = {}
        if self.anchors.labels is not None:
            found["class"] = self.anchors.labels[numbers].tolist()
        found |= described(self.generator, self._latents(indices, self.key.at(torch.from_numpy(indices))))
        return found | {"anchor": self.anchors.keys(numbers), "anchor_index": positions[numbers].tolist()}

    def _latents(self, indices: np.ndarray, draws: Draws) -> Tensor:
        """Latents of the samples at `indices`; for a generator of classes, of the class of their anchors."""
        latents = self.generator.sample_latents(len(indices), draws=draws)
        if self.anchors.labels is None:
            return latents
        labels = torch.from_numpy(np.asarray(self.anchors.labels, dtype=np.int64)[indices % len(self.anchors)])
        return self.generator.with_classes(latents, sent(labels, latents.device))


def samples_to_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, rounded as the online regime rounds what the learner sees."""
    return (images * 0.5 + 0.5).mul(255).round_().clamp_(0, 255).to(torch.uint8)


def _check_finite(finite: Readback | None) -> None:
    if finite is not None and not finite.numbers()[0]:
        raise DataError(
            "the generator overflows in fp16: its images are no numbers; give --generator-precision bf16 or fp32"
        )


def described(generator: Generator, latents: Tensor) -> dict[str, list[Any]]:
    """What samples of latents (N, ...) are drawn for, by column of a shard set; see `Generator.describe`.

    Raises:
        DataError: the generator describes them by other names than a shard set has columns for.
    """
    found = generator.describe(latents)
    if unknown := sorted(set(found) - set(CONDITIONS)):
        raise DataError(
            f"a {type(generator).__name__} describes its samples by {unknown[0]!r}; a shard set has columns for "
            f"{', '.join(CONDITIONS)}"
        )
    return found


def sampling_key(seed: int) -> Key:
    """What the latents of generated samples are drawn from, by sample index."""
    return Key.from_seed(seed).child("generate")
