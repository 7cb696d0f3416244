"""A look at a generator: a grid of its samples, below real images where there are any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..configs.preview import PreviewConfig
from ..data import ImageStore, open_images
from ..data.store import spread
from ..images.grids import Section, read_grid, save_grid, save_sections
from ..options.config import takes_options
from ..runs.folder import REAL_FILE
from .opening import open_generator
from .rendering import sampling_key

NUM_REAL = 8
"""Real images in a row. Ours."""
REAL_HEADING = "real images"


@takes_options(PreviewConfig)
def preview(config: PreviewConfig) -> dict[str, Any]:
    """Write a PNG grid of a generator's first samples, the same ones that `generate` writes first.

    Returns:
        `picture`, its path, `num_samples`, `image_size`, and `num_real`, how many real images are above.

    Raises:
        UsageError: an option that the generator does not take, or images that are not there.
        DataError: a run that has no generator, or a place that cannot be written.
    """
    generator = open_generator(config.generator, "cpu", config.generator_precision, **config.sampling_options())
    path, size = Path(config.out), generator.image_size
    if config.data is not None:
        store = open_images(config.data, image_size=size, split="train", data_root=config.data_root)
        real = some_images(store, config.columns)
    else:
        real = _of_run(Path(config.generator), size, config.columns)
    draws = sampling_key(config.seed).at(torch.arange(config.num_samples))
    with torch.no_grad():
        images = generator(generator.sample_latents(config.num_samples, draws=draws))
    title = f"{config.generator}: {config.num_samples} samples, seed {config.seed}"
    sections = [*real_section(real), Section(images, "generated images" if len(real) else "")]
    save_sections(sections, path, title=title, columns=config.columns)
    return {"picture": str(path), "num_samples": config.num_samples, "image_size": size, "num_real": len(real)}


def some_images(store: ImageStore, count: int = NUM_REAL) -> Tensor:
    """(n, 3, S, S) uint8, n at most `count`: images of a store, spread evenly over it."""
    return store.read(spread(len(store), count))


def real_section(images: Tensor) -> list[Section]:
    """Real images as the first section of a picture; none without any."""
    return [Section(images, REAL_HEADING)] if len(images) else []


def save_real_images(store: ImageStore, run: Path) -> Tensor:
    """Leave a row of the images that a generator is trained on in its run, for `preview`; (n, 3, S, S) uint8."""
    images = some_images(store)
    if not (run / REAL_FILE).exists():
        save_grid(images, run / REAL_FILE, columns=NUM_REAL)
    return images


def _of_run(run: Path, image_size: int, count: int) -> Tensor:
    """The real images that a run has left; (0, 3, S, S) where there are none."""
    file = run / REAL_FILE
    if not file.is_file():
        return torch.empty((0, 3, image_size, image_size), dtype=torch.uint8)
    return read_grid(file, image_size, min(count, NUM_REAL))
