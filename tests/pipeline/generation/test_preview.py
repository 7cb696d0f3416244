"""A look at a generator: the samples that `generate` writes first, below some of the images it was trained on."""

import numpy as np
import pytest
import torch

from synthcl.generators import create_trainer
from synthcl.pipeline.data import open_images
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.generation import preview as module
from synthcl.pipeline.generation.opening import open_generator, save_generator
from synthcl.pipeline.generation.preview import preview, save_real_images, some_images
from synthcl.pipeline.generation.rendering import Renderer, sampling_key
from synthcl.pipeline.images.grids import read_grid
from synthcl.pipeline.runs.folder import REAL_FILE


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    trainer = create_trainer("gan", 8, preset="tiny")
    with torch.no_grad():
        for parameter in trainer.ema.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    save_generator(trainer, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def shown(monkeypatch):
    """The sections of the pictures that were saved: heading and images."""
    pictures, save = [], module.save_sections

    def keep(sections, *args, **options):
        pictures.append([(section.heading, section.images) for section in sections])
        return save(sections, *args, **options)

    monkeypatch.setattr(module, "save_sections", keep)
    return pictures


@pytest.mark.parametrize(
    ("length", "count", "expected"), [(100, 4, [0, 33, 66, 99]), (3, 8, [0, 1, 2]), (8, 8, list(range(8))), (5, 1, [0])]
)
def test_some_images_are_spread_evenly_over_all(length, count, expected):
    images = torch.arange(length, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()
    assert some_images(MemoryStore(images, "x"), count)[:, 0, 0, 0].tolist() == expected


def test_samples_are_the_first_of_a_set(run, shown, tmp_path):
    result = preview(generator=str(run), out=str(tmp_path / "x.png"), num_samples=5, seed=3)
    assert result == {"picture": str(tmp_path / "x.png"), "num_samples": 5, "image_size": 8, "num_real": 0}
    (((heading, images),),) = shown
    written = Renderer(open_generator(str(run)), sampling_key(3), torch.device("cpu"))(np.arange(5))
    assert heading == "" and ((images + 1) * 127.5 - written[:, 0]).abs().max() <= 1
    assert (tmp_path / "x.png").stat().st_size > 0


def test_real_images_are_those_that_the_run_left_or_those_that_are_named(run, shown, tmp_path):
    store = open_images("digits", image_size=8)
    left = save_real_images(store, run)
    assert torch.equal(left, some_images(store)) and torch.equal(read_grid(run / REAL_FILE, 8, 8), left)
    assert preview(generator=str(run), out=str(tmp_path / "a.png"), num_samples=4)["num_real"] == 8
    options = {"data": "digits:test", "columns": 3, "num_samples": 4}
    assert preview(generator=str(run), out=str(tmp_path / "b.png"), **options)["num_real"] == 3
    (own, made), (named, again) = shown
    assert own[0] == named[0] == module.REAL_HEADING and made[0] == "generated images"
    assert torch.equal(own[1], left) and torch.equal(made[1], again[1])
    assert torch.equal(named[1], some_images(open_images("digits:test", image_size=8), 3))


def test_a_run_keeps_the_row_that_it_began_with(run):
    save_real_images(open_images("digits", image_size=8), run)
    before = (run / REAL_FILE).read_bytes()
    save_real_images(open_images("digits:test", image_size=8), run)
    assert (run / REAL_FILE).read_bytes() == before
