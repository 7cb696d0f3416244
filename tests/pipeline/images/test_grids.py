"""Grids come back as they were written; samples of two images are seen as such; words do not change what is read."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from synthcl.pipeline.images.grids import PADDING, PAIR_PADDING, Section, read_grid, save_grid, save_sections


def images(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("size", [8, 28, 64, 100])
@pytest.mark.parametrize("as_floats", [True, False])
def test_the_images_of_a_grid_are_read_at_their_own_size(tmp_path, size, as_floats):
    written = images(24, 3, size, size)
    save_grid(written.float() / 127.5 - 1 if as_floats else written, tmp_path / "grid.png")
    assert torch.equal(read_grid(tmp_path / "grid.png", size, 16), written[:16])


def test_a_grid_of_an_earlier_version_is_read(tmp_path):
    written = images(24, 3, 64, 64)
    to_pil_image(make_grid(written, nrow=8, padding=2, pad_value=255)).save(tmp_path / "grid.png")
    assert torch.equal(read_grid(tmp_path / "grid.png", 64, 16), written[:16])


@pytest.mark.parametrize("stacked", [False, True])
def test_the_images_of_a_sample_touch_and_columns_count_samples(tmp_path, stacked):
    pairs = images(5, 2, 3, 64, 64)
    save_sections([Section(pairs, stacked=stacked)], tmp_path / "grid.png", columns=3)
    read = read_grid(tmp_path / "grid.png", 64, 10)
    order = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (4, 0), (3, 1), (4, 1)]
    wanted = torch.stack([pairs[s, v] for s, v in order]) if stacked else pairs.flatten(0, 1)
    assert torch.equal(read, wanted)
    pixels = pixels_of(tmp_path / "grid.png")
    across, down = (1, 2) if stacked else (2, 1)
    step = [64 * n + PAIR_PADDING for n in (down, across)]
    assert pixels.shape[:2] == (2 * step[0] + PAIR_PADDING, 3 * step[1] + PAIR_PADDING)
    white = (pixels == 255).all(-1)
    gutters = (white[:, :].all(0).sum(), white.all(1).sum())
    assert gutters == (4 * PAIR_PADDING, 3 * PAIR_PADDING)  # between samples and around them, and none inside


def test_words_go_above_and_below_and_the_last_section_is_read(tmp_path):
    real, shown = images(3, 3, 16, 16), images(6, 3, 16, 16, seed=1)
    path = tmp_path / "new" / "grid.png"
    sections = [Section(real, "real images"), Section(shown, "samples", [f"{n}.5" for n in range(6)])]
    save_sections(sections, path, title="a title of many words " * 6, columns=3)
    assert torch.equal(read_grid(path, 16, 6), shown)
    save_sections([Section(shown)], tmp_path / "plain.png", columns=3)
    plain, worded = pixels_of(tmp_path / "plain.png"), pixels_of(path)
    assert len(plain) == 2 * (64 + PADDING) + PADDING and len(worded) > len(plain) + 64
    assert (worded[:18] < 100).any(), "the title is drawn"
    assert worded.shape[1] == 320


def test_the_same_picture_is_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_sections([Section(images(4, 3, 8, 8), "x", ["1", "2", "3", "4"])], tmp_path / name, title="t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
