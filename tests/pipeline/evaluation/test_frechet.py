"""The Fréchet distance is that of torchmetrics, and that of the closed form."""

import math

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from synthcl.pipeline.evaluation.frechet import frechet_distance, frechet_distances
from synthcl.pipeline.randomness import Key


class Flat(torch.nn.Module):
    """Images (N, 1, 1, F) are their own features."""

    num_features = 8

    def forward(self, images):
        return images.flatten(1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_frechet_distance_is_that_of_torchmetrics(two_sets):
    real, generated = two_sets
    metric = FrechetInceptionDistance(Flat(), input_img_size=(1, 1, 8), normalize=False).set_dtype(torch.float64)
    metric.update(real.double()[:, None, None], real=True)
    metric.update(generated.double()[:, None, None], real=False)
    assert frechet_distance(real, generated) == pytest.approx(metric.compute().item(), rel=1e-5, abs=1e-6)


def test_frechet_distance_in_closed_form():
    x = torch.tensor([[-1.0], [1.0]]).repeat(500, 1)
    spread = x.std().item()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, 3 * x + 2) == pytest.approx(4 + (2 * spread) ** 2)


def test_fewer_images_than_features_still_give_a_number(points):
    assert 0 < frechet_distance(points(5, 30), points(6, 30, seed=1)) < math.inf


@pytest.mark.parametrize(("num_generated", "num_held_out"), [(60, 200), (200, 60), (60, 60)])
def test_what_held_out_points_come_to_is_of_as_many_as_are_compared_with_them(points, num_generated, num_held_out):
    real, generated, held_out = points(500), points(num_generated, seed=1), points(num_held_out, seed=2)
    found = frechet_distances(real, generated, held_out, Key.from_seed(0))
    assert found["frechet_distance"] == frechet_distance(real, generated)
    assert found["frechet_distance_held_out"] == frechet_distance(real, held_out[:60])
    as_many = found["frechet_distance_as_many"]
    if num_generated == 60:
        assert as_many is None
    else:  # not the first ones alone, and with the bias of as many
        assert as_many != frechet_distance(real, generated[:60])
        assert found["frechet_distance"] < 0.5 * as_many


def test_without_held_out_points_there_is_nothing_to_compare(points):
    found = frechet_distances(points(50), points(60, seed=1), None, Key.from_seed(0))
    assert found["frechet_distance"] > 0 and found["frechet_distance_held_out"] is None
    assert found["frechet_distance_as_many"] is None


def test_features_that_are_no_numbers_are_at_no_distance():
    x = torch.arange(4.0)[:, None]
    assert math.isnan(frechet_distance(x, x * torch.nan))
