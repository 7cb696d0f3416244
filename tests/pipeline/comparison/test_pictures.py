"""The strips of the report: their words say what is in them."""

import pytest
import torch

from synthcl.pipeline.comparison import pictures
from synthcl.pipeline.comparison.pictures import PER_ROW
from synthcl.pipeline.data import open_images
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.training.watching import save_snapshot

SIZE = 8


class Snapshot:
    """A regime whose G makes white images and whose G_ema black ones."""

    def snapshot(self):
        white = torch.ones(2 * PER_ROW, 3, SIZE, SIZE)
        return white, -white


@pytest.mark.parametrize(
    ("options", "title", "means"),
    [({}, "online, step 4: G above, G_ema below", [255, 0]), ({"pairs": False}, "online, step 4: G", [255])],
    ids=["pairs", "no pairs"],
)
def test_a_strip_of_joint_training_says_whose_samples_it_shows(make_run, monkeypatch, options, title, means):
    shown = []
    strip = pictures._strip
    monkeypatch.setattr(pictures, "_strip", lambda *words: shown.append(words[2]) or strip(*words))
    run = make_run("online", 0, **options)
    save_snapshot(Snapshot(), RunFolder(run.path), 4, open_images("digits", image_size=SIZE))
    (found,) = pictures._over_time(run, SIZE)
    assert found.title == title and ("G_ema" in found.alt) == (len(means) == 2)
    rows = shown[0].unflatten(0, (-1, PER_ROW)).float()
    assert rows.mean(dim=(1, 2, 3, 4)).tolist() == means


class Blank:
    """A generator of grey images."""

    def sample_latents(self, num, draws):
        return torch.zeros(num, 4)

    def __call__(self, latents):
        return torch.zeros(len(latents), 3, SIZE, SIZE)


class Pairs:
    """A shard set, as far as the report reads it."""

    def __init__(self, views):
        self.views = views

    def __len__(self):
        return len(self.views)

    def read_views(self, indices):
        return self.views[list(indices)]


def test_every_strip_of_synthetic_images_has_the_real_ones_below(make_run, monkeypatch):
    runs = [make_run("offline", 0, shards=["set"]), make_run("online", 0)]
    save_snapshot(Snapshot(), RunFolder(runs[1].path), 4, open_images("digits", image_size=SIZE))
    views = torch.zeros(PER_ROW, 2, 3, SIZE, SIZE, dtype=torch.uint8)
    monkeypatch.setattr(pictures, "open_shard_set", lambda *_, **__: Pairs(views))
    monkeypatch.setattr(pictures, "open_generator", lambda *_, **__: Blank())
    first, *synthetic = pictures.strips(runs, "digits", None)
    assert first.title == "real images" and len(synthetic) == 3
    for strip in synthetic:
        assert strip.title.endswith("; real below") and "Below them real images." in strip.alt
