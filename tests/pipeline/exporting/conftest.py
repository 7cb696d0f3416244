"""Encoders with statistics of their own, as training leaves them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from synthcl.learners import create_backbone
from synthcl.pipeline.encoder import Encoder, load_encoder


@pytest.fixture(scope="session")
def make_encoder() -> Callable[[Path, str, int], Encoder]:
    """`make_encoder(folder, name, size)` saves an encoder there and loads it."""

    def make(folder: Path, name: str, size: int) -> Encoder:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            backbone = create_backbone(name, image_size=size)
            for module in backbone.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 2)
        Encoder(backbone, name, size).save(folder)
        return load_encoder(folder)

    return make
