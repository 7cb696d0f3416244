"""Pretrained image pipelines of diffusers, served as generators that do not learn."""

from .generator import PretrainedGenerator

open_generator = PretrainedGenerator.from_pretrained

__all__ = ["PretrainedGenerator", "open_generator"]
