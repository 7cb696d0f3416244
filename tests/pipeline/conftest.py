"""Pictures, their files and small shard sets, made on the spot, and how much memory a test takes."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.shards import write_shard_set


@pytest.fixture
def picture():
    """(seed, width, height, mode) to a smooth random picture, as JPEG likes them."""

    def make(seed=0, width=16, height=None, mode="RGB"):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height or width), Image.Resampling.BICUBIC)
        return image.convert(mode)

    return make


@pytest.fixture
def encode():
    """A picture to its file's bytes."""

    def make(image, kind="PNG", **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return make


SIZE = 16


def _render(indices: np.ndarray, views: int = 1, size: int = SIZE) -> np.ndarray:
    i = np.asarray(indices)[:, None, None, None, None]
    v, c, y, x = np.ogrid[0:views, 0:3, 0:size, 0:size]
    return ((i * 7 + v * 101 + c * 31 + y * 3 + x * (5 + i % 4)) ^ (i * 13)).astype(np.uint8)


@pytest.fixture(scope="session")
def render() -> Callable[..., np.ndarray]:
    """Images (N, V, 3, S, S) of samples by their index."""
    return _render


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Writes a set of small images in one go: `make_set("name", num_samples=50, samples_per_shard=20, ...)`."""

    def make(name: str = "set", num_samples: int = 50, samples_per_shard: int = 20, **options: object) -> Path:
        views = options.get("images_per_sample", 1)
        write_shard_set(
            tmp_path / name,
            {"seed": 3, "weights": "abc"},
            num_samples,
            samples_per_shard,
            lambda indices: _render(indices, views),
            **{"workers": 0, **options},
        )
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def digest() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder, by its SHA-256."""

    def of(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if not path.is_dir())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return of


@pytest.fixture(scope="session")
def choosing() -> dict[str, dict[str, object]]:
    """For each regime, the options of `train` that choose it."""
    return {
        "real": {},
        "offline": {"shards": ["shards"]},
        "fresh": {"fresh": True, "generator": "gan"},
        "online": {"online": True, "generator": "gan"},
        "replay": {"replay": "recording"},
    }
