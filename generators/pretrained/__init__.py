"""Pretrained image pipelines of diffusers as generators; those in a latent space can learn along with a learner."""

from .generator import PretrainedGenerator
from .trainable import TrainablePipeline
from .trainer import PipelineTrainer

open_generator = PretrainedGenerator.from_pretrained

__all__ = ["PipelineTrainer", "PretrainedGenerator", "TrainablePipeline", "open_generator"]
