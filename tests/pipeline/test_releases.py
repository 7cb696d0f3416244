"""What a later release must draw as this one does, number for number.

A run goes on under a later release, a recording is replayed and a shard set is made again from its recipe: each is the
undisturbed one only while the same (seed, purpose, index) gives the same numbers. So these are frozen. Where one has to
change, files of earlier releases must be refused, not continued with other numbers.
"""

import numpy as np
import pytest
import torch

from synthcl.generators.gan.networks import GANGenerator
from synthcl.pipeline.data import open_images
from synthcl.pipeline.data.order import EvenOrder, GlobalOrder
from synthcl.pipeline.data.parts import choose_positions
from synthcl.pipeline.data.slices import parse_slice
from synthcl.pipeline.data.window_order import WindowOrder
from synthcl.pipeline.evaluation.subsets import folds, labeled_subset, shot_subset
from synthcl.pipeline.generation.rendering import sampling_key
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.regimes.fresh import samples_key
from synthcl.pipeline.views import Augmentation
from synthcl.pipeline.views.presets import find_preset

KEY = Key.from_seed(7)
DRAWS = KEY.child("purpose", 3).at(torch.tensor([0, 1, 2**33]))
LABELS = torch.arange(40) * 7 % 4


def ramp() -> torch.Tensor:
    """One image (1, 3, 8, 8) in [0, 1], unlike itself when it is flipped, cropped or coloured."""
    return torch.arange(3 * 64).reshape(1, 3, 8, 8) / 191


def views(preset: str) -> torch.Tensor:
    """Of each of two views of two images the mean and the middle of each channel."""
    made = ViewMaker(Augmentation(find_preset(preset), 8), KEY)(ramp().expand(2, -1, -1, -1), torch.tensor([0, 5]), 3)
    return torch.stack((made.mean((-2, -1)), made[..., 4, 4]), -1)


CASES = {
    "bits": lambda: DRAWS.bits("z", 6),
    "uniform": lambda: DRAWS.uniform("z", 3),
    "normal": lambda: DRAWS.normal("z", 5),
    "integers": lambda: DRAWS.integers("z", 1000, 5),
    "order of images": lambda: [GlobalOrder(1000, 4, KEY).indices(step) for step in (0, 249, 250)],
    "order in even batches": lambda: np.concatenate([EvenOrder(10, 4, KEY).indices(step) for step in range(6)]),
    "order by windows": lambda: [WindowOrder([5, 7, 0, 9, 4], 4, KEY, 2).indices(step) for step in (0, 4, 6)],
    "a run's images": lambda: RealImages.create(digits(), Share(6), KEY, torch.device("cpu"))._indices(300),
    "a run's views": lambda: views("byol"),
    "a run's latents": lambda: gan().sample_latents(2, draws=samples_key(KEY).child(3).at(torch.arange(2), 8)),
    "a set's latents": lambda: gan().sample_latents(2, draws=sampling_key(7).at(torch.tensor([0, 10**6]))),
    "a shuffled part": lambda: part(":6,shuffled,seed=7"),
    "a balanced part": lambda: part(":12,balanced,seed=7"),
    "labels of a fraction": lambda: labeled_subset(LABELS, 0.2, KEY),
    "labels of shots": lambda: shot_subset(LABELS, 2, KEY),
    "folds": lambda: folds(LABELS, 5, KEY)[:12],
}
FROZEN = {
    "bits": [
        1435546815,
        3176934394,
        1203811985,
        1002756353,
        1275712281,
        3748055569,
        2309065182,
        1380775997,
        481716101,
        74272642,
        553722028,
        2971820310,
        2491536741,
        2912663004,
        2608704692,
        2651391162,
        2076510511,
        3781213083,
    ],
    "uniform": [0.334239, 0.739688, 0.280284, 0.537621, 0.321487, 0.112158, 0.580106, 0.678157, 0.607386],
    "normal": [
        0.153465,
        1.472496,
        -0.226125,
        0.742914,
        1.111121,
        1.107523,
        0.120813,
        1.038687,
        1.091204,
        -0.746397,
        -0.772646,
        -0.701503,
        -0.876589,
        0.091343,
        0.72958,
    ],
    "integers": [334, 739, 280, 233, 297, 537, 321, 112, 17, 128, 580, 678, 607, 617, 483],
    "order of images": [450, 216, 398, 868, 716, 652, 311, 573, 135, 608, 639, 140],
    "order in even batches": [9, 8, 5, 2, 3, 0, 6, 7, 4, 1, 9, 1, 8, 4, 7, 5, 3, 6, 0, 2],
    "order by windows": [17, 23, 13, 19, 0, 5, 10, 3, 19, 18, 17, 1],
    "a run's images": [59, 676, 1439, 1232, 471, 816],
    "a run's views": [
        -1.512037,
        -1.463454,
        0.079562,
        0.129231,
        1.790669,
        1.840116,
        -1.510378,
        -1.443964,
        -0.305001,
        -0.237104,
        1.652953,
        1.733181,
        -1.512037,
        -1.423444,
        0.079562,
        0.170133,
        1.790669,
        1.880838,
        -0.803813,
        -0.724087,
        -1.0942,
        -1.175705,
        -1.8003,
        -1.804444,
    ],
    "a run's latents": [-0.71157, 0.670547, 1.54172, 1.485158, 1.1506, 1.215098, -1.252924, -0.385003],
    "a set's latents": [1.108727, -0.126529, 0.092886, -0.19885, -0.257675, -0.520688, 0.006607, -1.209274],
    "a shuffled part": [2, 7, 9, 22, 26, 29],
    "a balanced part": [0, 7, 14, 17, 18, 19, 21, 24, 27, 29, 34, 36],
    "labels of a fraction": [10, 11, 17, 24, 28, 29, 31, 34],
    "labels of shots": [10, 11, 17, 24, 28, 29, 31, 34],
    "folds": [3, 0, 3, 2, 0, 1, 4, 2, 4, 2, 0, 1],
}


def digits():
    return open_images("digits", image_size=8)


def part(inside: str) -> np.ndarray:
    return choose_positions(parse_slice(inside, "set"), len(LABELS), LABELS.numpy(), "set")


def gan():
    return GANGenerator(image_size=8, widths=[8, 8], latent_size=4)


@pytest.mark.parametrize("name", CASES)
def test_numbers_do_not_change_between_releases(name):
    found = torch.as_tensor(np.asarray(CASES[name]()))
    expected = torch.tensor(FROZEN[name]).reshape(found.shape)
    if found.is_floating_point():  # by logarithms and cosines, which machines round in their own way
        torch.testing.assert_close(found, expected.to(found.dtype), rtol=1e-5, atol=1e-5)
    else:
        assert torch.equal(found, expected.to(found.dtype))
