"""The amplitude of a checkerboard is that of its definition, and of a set's first images whoever reads them."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.evaluation import checkerboard as module
from synthcl.pipeline.evaluation.checkerboard import (
    FACTOR,
    UNSEEN,
    checkerboard,
    checkerboard_warning,
    measure_checkerboard,
)

CPU = torch.device("cpu")
BOARD = torch.ones(8, 8)
BOARD[::2, 1::2] = BOARD[1::2, ::2] = -1
COLUMNS = torch.arange(8.0).expand(8, 8)
GREY = torch.full((2, 3, 8, 8), 100.0)


def naive(image):
    """A block at a time."""
    sizes = range(0, image.shape[-1] - 1, 2)
    a = image.double()
    blocks = [
        abs(a[c, y, x] - a[c, y, x + 1] - a[c, y + 1, x] + a[c, y + 1, x + 1]) / 4
        for c in range(3)
        for y in sizes
        for x in sizes
    ]
    return float(np.mean(blocks))


@pytest.mark.parametrize("size", [2, 7, 8])
def test_it_is_its_definition(size):
    images = torch.randint(256, (4, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(size))
    assert checkerboard(images).tolist() == pytest.approx([naive(image) for image in images], rel=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_checkerboard_has_its_amplitude(sign):
    assert checkerboard((GREY + sign * 20 * BOARD).byte()).tolist() == [20, 20]


@pytest.mark.parametrize("pattern", [0 * COLUMNS, COLUMNS % 2, COLUMNS.T % 2, (COLUMNS > 3).float(), COLUMNS])
def test_stripes_edges_and_slopes_have_none(pattern):
    assert checkerboard((GREY + 20 * pattern).byte()).tolist() == [0, 0]


def test_the_first_images_of_a_store_count(make_store, monkeypatch):
    monkeypatch.setattr(module, "CHECKED_IMAGES", 30)
    store = make_store(num_images=50)
    expected = checkerboard(store.read(range(30))).mean().item()
    assert measure_checkerboard(store, CPU) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("real", "samples", "said"), [(4, 4.4, False), (4, 20, True), (0.1, 1.9, False), (0, 2.1, True)]
)
def test_what_is_worth_a_look(real, samples, said):
    assert (samples > FACTOR * real + UNSEEN) == said
    sentence = checkerboard_warning(samples, real)
    assert (sentence is not None) == said
    assert not said or f"a checkerboard of {samples:.1f} levels of 255, real images {real:.1f}" in sentence
