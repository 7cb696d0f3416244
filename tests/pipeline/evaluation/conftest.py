"""A small encoder of a run, and stores whose classes it can tell apart."""

import json

import numpy as np
import pytest
import torch

from synthcl.generators import create_trainer
from synthcl.learners import create_backbone
from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.evaluation import distances
from synthcl.pipeline.generation.generate import generate

SIZE = 8


@pytest.fixture(scope="session")
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(create_backbone("resnet10-w8", image_size=SIZE), "resnet10-w8", SIZE)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """A saved encoder that looks at 16 pixels."""
    path = tmp_path_factory.mktemp("encoder") / "encoder"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Encoder(create_backbone("resnet10-w16", image_size=16), "resnet10-w16", 16).save(path)
    return path


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


@pytest.fixture(scope="session")
def generator(tmp_path_factory):
    """The folder of a tiny generator that was never trained."""
    path = tmp_path_factory.mktemp("generators") / "gan"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        create_trainer("gan", SIZE, preset="tiny").save_pretrained(path)
    return path


@pytest.fixture
def shards(generator, tmp_path):
    """A set of 40 of its samples."""
    path = tmp_path / "shards"
    generate(GenerateConfig(generator=str(generator), num_samples=40, out=str(path), workers=0, seed=3))
    return path


@pytest.fixture(params=[None, 700])
def block_values(request, monkeypatch):
    """Distances in whole matrices, and in blocks of a few rows."""
    if request.param:
        monkeypatch.setattr(distances, "BLOCK_VALUES", request.param)


def _points(num_points, num_features=8, *, seed=0, shift=0.0, scale=1.0):
    random = torch.Generator().manual_seed(seed)
    return scale * torch.randn(num_points, num_features, generator=random) + shift


@pytest.fixture(scope="session")
def points():
    """(number, features, seed, shift, scale) to normal points (N, F)."""
    return _points


_SETS = {
    "alike": (_points(150), _points(120, seed=1)),
    "narrow": (_points(150), _points(120, seed=1, scale=0.5)),
    "apart": (_points(150), _points(120, seed=1, shift=3.0)),
    "far from the origin": (_points(150, shift=100.0), _points(120, seed=1, shift=100.5)),
}


@pytest.fixture(scope="session", params=_SETS)
def two_sets(request):
    """Real and generated points, (150, 8) and (120, 8), that differ in one way or another."""
    return _SETS[request.param]
