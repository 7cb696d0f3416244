"""Pretrained image pipelines of diffusers, served as generators that do not learn."""

from .generator import PretrainedGenerator

__all__ = ["PretrainedGenerator"]
