"""Grids of images as PNG files: `save_grid` writes one, `read_grid` reads its images back."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

from ..errors import DataError
from ..files import write_file

SMALLEST_SIDE = 64
"""Images with fewer pixels a side are enlarged, each pixel to a square, so that people can see them. Ours."""

PADDING = 2
"""Pixels between images. Ours."""


def save_grid(images: Tensor, path: Path, *, columns: int = 8) -> None:
    """Write images as a PNG grid. The folder is made if it is missing.

    Args:
        images: (N, 3, S, S) float in [-1, 1].
        path: the PNG file to write.
        columns: images a row.

    Raises:
        DataError: the place cannot be written.
    """
    scale = _scale(images.shape[-1])
    large = images.detach().float().cpu().repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    grid = make_grid(large.clamp(-1, 1) * 0.5 + 0.5, nrow=columns, padding=PADDING, pad_value=1.0)
    buffer = io.BytesIO()
    to_pil_image(grid).save(buffer, format="PNG")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, buffer.getvalue())
    except OSError as error:
        raise DataError(f"cannot write the picture {path}: {error.strerror}") from None


def read_grid(path: Path, image_size: int, num_images: int, *, columns: int = 8) -> Tensor:
    """Read the first images of a grid that `save_grid` wrote, at their own size.

    Args:
        path: the PNG file.
        image_size: pixels a side of the images that the grid was made of (S).
        num_images: how many images to read (N).
        columns: images a row of the grid.

    Returns:
        (N, 3, S, S) uint8.
    """
    with Image.open(path) as picture:
        pixels = pil_to_tensor(picture.convert("RGB"))
    scale = _scale(image_size)
    step = image_size * scale + PADDING
    found = []
    for number in range(num_images):
        top, left = (PADDING + place * step for place in divmod(number, columns))
        found.append(pixels[:, top : top + image_size * scale : scale, left : left + image_size * scale : scale])
    return torch.stack(found)


def _scale(image_size: int) -> int:
    return max(1, SMALLEST_SIDE // image_size)
