"""Diffusion: the noise-predicting network, its few-step solvers, its loss, and one training step."""

from .generator import DiffusionGenerator
from .trainer import DiffusionTrainer

__all__ = ["DiffusionGenerator", "DiffusionTrainer"]
