"""Grids of images, as PNG files."""

from __future__ import annotations

import io
from pathlib import Path

from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from .files import write_file

SMALLEST_SIDE = 64
"""Pixels a side below which images are enlarged, each pixel to a square, so that eyes can see them. Ours."""


def save_grid(images: Tensor, path: Path, *, columns: int = 8) -> None:
    """Write images as a PNG grid.

    Args:
        images: (N, 3, S, S) float in [-1, 1].
        path: of the PNG.
        columns: images a row.
    """
    scale = max(1, SMALLEST_SIDE // images.shape[-1])
    large = images.detach().float().cpu().repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    grid = make_grid(large.clamp(-1, 1) * 0.5 + 0.5, nrow=columns, padding=2, pad_value=1.0)
    buffer = io.BytesIO()
    to_pil_image(grid).save(buffer, format="PNG")
    write_file(path, buffer.getvalue())
