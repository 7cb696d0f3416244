"""What regimes are built from: digits of 8 pixels, eight a step, and a small generator, set and recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from synthcl.generators import create_trainer
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.generation.opening import save_generator
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.regimes.setup import RegimeSetup
from synthcl.pipeline.shards import ShardRecorder, write_shard_set
from synthcl.pipeline.views import Augmentation

SIZE, BATCH_SIZE, STEPS = 8, 8, 3
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def save_gan(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`save_gan(kind, size)`: the folder of a run with a generator, written once."""
    root = tmp_path_factory.mktemp("generators")

    def save(kind: str = "gan", size: int = SIZE) -> Path:
        run = root / f"{kind}-{size}"
        if not run.exists():
            torch.manual_seed(0)
            save_generator(create_trainer(kind, size, preset="tiny"), run)
        return run

    return save


@pytest.fixture(scope="session")
def images_of_step() -> Callable[..., np.ndarray]:
    """The samples (4, V, 3, S, S) uint8 of a step of `recording`."""

    def make(step: int, views: int = 2) -> np.ndarray:
        return np.random.default_rng(step).integers(0, 256, (4, views, 3, SIZE, SIZE), dtype=np.uint8)

    return make


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory, images_of_step: Callable[..., np.ndarray]) -> Path:
    """Three steps of four pairs."""
    folder = tmp_path_factory.mktemp("recordings") / "rec"
    with ShardRecorder(folder, {"seed": 1}, samples_per_shard=5, images_per_sample=2, workers=0) as recorder:
        recorder.rewind(0)
        for step in range(STEPS):
            hardness = np.arange(4.0) + step
            recorder.append(step, images_of_step(step), hardness=hardness, pair_similarity=np.zeros(4))
        recorder.finish()
    return folder


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 20 single images, made ahead."""
    folder = tmp_path_factory.mktemp("sets") / "set"

    def render(indices: np.ndarray) -> np.ndarray:
        return np.stack([np.random.default_rng(i).integers(0, 256, (1, 3, SIZE, SIZE), np.uint8) for i in indices])

    write_shard_set(folder, {"name": "set"}, 20, 10, render, workers=0)
    return folder


@pytest.fixture(scope="session")
def parts() -> Callable[..., SimpleNamespace]:
    """`parts(...)`: `key`, `real` and `views`, of one process of several."""

    def make(
        rank: int = 0,
        num_processes: int = 1,
        seed: int = 0,
        augmentation: str = "none",
        size: int = SIZE,
        with_labels: bool = False,
        **views: object,
    ) -> SimpleNamespace:
        key = Key.from_seed(seed)
        share = Share(BATCH_SIZE, rank, num_processes)
        store = open_images("digits", image_size=size)
        real = RealImages.create(store, share, key, CPU, with_labels=with_labels)
        return SimpleNamespace(key=key, real=real, views=ViewMaker(Augmentation(augmentation, size), key, **views))

    return make


@pytest.fixture
def setup_of(parts: Callable[..., SimpleNamespace]) -> Callable[..., RegimeSetup]:
    """`setup_of(rank=..., num_processes=..., **options)`: what a regime is built from, of options of `train`."""

    def make(rank: int = 0, num_processes: int = 1, **options: object) -> RegimeSetup:
        values = {"data": "digits", "out": "run", "steps": STEPS, "batch_size": BATCH_SIZE, **options}
        made = parts(rank, num_processes)
        return RegimeSetup(
            config=TrainConfig(**values),
            real=made.real,
            views=made.views,
            key=made.key,
            accelerator=Accelerator(cpu=True),
            total_steps=STEPS,
        )

    return make


@pytest.fixture
def joined() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Groups and views of the batches of several processes, in the order of the groups."""

    def join(batches: list) -> tuple[torch.Tensor, torch.Tensor]:
        groups = torch.cat([batch.groups for batch in batches])
        order = torch.argsort(groups, stable=True)
        return groups[order], torch.cat([batch.views for batch in batches])[order]

    return join
