"""Grids come back as they were written."""

import pytest
import torch

from synthcl.pipeline.images.grids import read_grid, save_grid


@pytest.mark.parametrize("size", [8, 28, 64, 100])
def test_the_images_of_a_grid_are_read_at_their_own_size(tmp_path, size):
    generator = torch.Generator().manual_seed(size)
    images = torch.randint(0, 256, (24, 3, size, size), generator=generator, dtype=torch.uint8)
    save_grid(images.float() / 127.5 - 1, tmp_path / "grid.png")
    found = read_grid(tmp_path / "grid.png", size, 16)
    assert (found.int() - images[:16].int()).abs().max() <= 1  # a grid rounds down
