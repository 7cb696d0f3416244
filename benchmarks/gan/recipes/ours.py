"""Ours: `synthcl.generators.gan` with its defaults, as `synthcl pretrain` trains it (after R3GAN, arXiv 2501.05441)."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from synthcl.generators.gan import GANTrainer
from synthcl.pipeline.randomness import Key

from .base import Recipe


class Ours(Recipe):
    """The trainer, with its own randomness by counter.

    Args:
        image_size: S.
        options: of `GANTrainer.create`, such as `preset`, `learning_rate`, `gamma` or `augment`.
    """

    def __init__(self, image_size: int, **options: Any) -> None:
        signatures = (inspect.signature(f).parameters.values() for f in (GANTrainer.create, GANTrainer.__init__))
        known = [p.name for parameters in signatures for p in parameters if p.kind is p.KEYWORD_ONLY]
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"our trainer has no option {unknown[0]!r}: choose from {', '.join(known)}")
        self.trainer = GANTrainer.create(image_size, **options)
        modules = self.trainer.modules()
        self.generator, self.discriminator = modules["generator"], modules["discriminator"]
        self.average = self.trainer.ema

    def step(self, real: Tensor, key: Key) -> Tensor | None:
        return self.trainer.step(real, key.at(torch.arange(len(real)))).get("margin")

    def sample_latents(self, n: int) -> Tensor:
        return self.trainer.ema.sample_latents(n)

    def state_dict(self) -> dict[str, Any]:
        return self.trainer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state)
