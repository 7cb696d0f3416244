"""What a training measures and pictures between its steps."""

import pytest
import torch
from PIL import Image

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runtime.distributed import create_accelerator
from synthcl.pipeline.training.build import build_learner
from synthcl.pipeline.training.watching import measurements, save_snapshot

SIZE = 8


def found(**options):
    config = TrainConfig(data="digits", out="x", steps=4, backbone="resnet10-w8", image_size=SIZE, **options)
    store = open_images("digits", image_size=SIZE)
    encoder = Encoder(build_learner(config, SIZE).backbone, config.backbone, SIZE)
    return measurements(config, store, create_accelerator("fp32"), None, 40, lambda: encoder)


def test_nothing_is_measured_unless_asked():
    assert found() == []


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"eval_every": 3}, {"knn_top1"}),
        ({"watch_features": 3}, {"rankme", "alignment", "uniformity", "feature_spread"}),
    ],
)
def test_each_is_measured_as_often_as_its_option_says(options, names):
    (one,) = found(**options)
    assert one.period == 3 and names <= set(one.take())


def test_an_encoder_that_is_none_is_said(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        found(online=True, generator="g", eval_encoder=str(tmp_path))


class Snapshot:
    """A regime whose G makes white images and whose G_ema black ones; or one without a generator."""

    def __init__(self, num):
        self.num = num

    def snapshot(self):
        white = torch.ones(self.num, 3, SIZE, SIZE)
        return (white, -white) if self.num else None


class Pictures:
    """A tracker that keeps what it is given."""

    def __init__(self):
        self.given = []

    def append_picture(self, step, path):
        self.given.append((step, path))


@pytest.mark.parametrize("num", [0, 6])
def test_a_picture_is_saved_where_a_generator_is_trained_and_trackers_get_it(tmp_path, num):
    tracker, store = Pictures(), open_images("digits", image_size=SIZE)
    (tmp_path / "samples").mkdir()
    save_snapshot(Snapshot(num), RunFolder(tmp_path), 7, store, [tracker])
    path = tmp_path / "samples" / "00000007.png"
    assert tracker.given == ([(7, path)] if num else [])
    assert path.exists() == bool(num)
    if num:
        colours = Image.open(path).convert("L").getextrema()
        assert colours[0] < 40 and colours[1] == 255
