"""The Fréchet distance is that of torchmetrics, and that of the closed form."""

import math

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from synthcl.pipeline.evaluation.frechet import frechet_distance


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
