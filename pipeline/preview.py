"""A look at a generator: a grid of its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .configs.preview import PreviewConfig
from .generation import open_generator, sampling_key
from .images.grids import save_grid


def preview(config: PreviewConfig) -> dict[str, Any]:
    """Write a PNG grid of a generator's first samples, the same ones that `generate` writes first."""
    generator = open_generator(config.generator, **config.sampling_options())
    path = Path(config.out)
    draws = sampling_key(config.seed).at(torch.arange(config.num_samples))
    with torch.no_grad():
        images = generator(generator.sample_latents(config.num_samples, draws=draws))
    save_grid(images, path, columns=config.columns)
    return {"picture": str(path), "num_samples": config.num_samples, "image_size": generator.image_size}
