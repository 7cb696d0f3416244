"""A small encoder of a run, and stores whose classes it can tell apart."""

import json

import numpy as np
import pytest
import torch

from synthcl.learners import create_backbone
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.encoder import Encoder

SIZE = 8


@pytest.fixture(scope="session")
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(create_backbone("resnet10-w8", image_size=SIZE), "resnet10-w8", SIZE)


@pytest.fixture
def run(encoder, tmp_path):
    """The folder of a run with nothing but what evaluation reads."""
    path = tmp_path / "run"
    path.mkdir()
    encoder.save(path / "encoder")
    (path / "run.json").write_text(json.dumps({"command": "train"}))
    (path / "config.yaml").write_text("data: digits\n")
    return path


@pytest.fixture
def make_store():
    """Images of noise around a brightness that their class decides."""

    def make(name="made", *, seed=0, num_images=60, num_classes=3, labels=True, class_names=None):
        random = np.random.default_rng(seed)
        classes = np.arange(num_images) % num_classes
        level = 60 + 120 * classes[:, None, None, None] / max(1, num_classes - 1)
        pixels = np.clip(level + random.normal(0, 30, (num_images, 3, SIZE, SIZE)), 0, 255).astype(np.uint8)
        return MemoryStore(torch.from_numpy(pixels), name, classes if labels else None, class_names)

    return make
