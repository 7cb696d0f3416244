"""Quality measures against the packages of the field, and against naive ones."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torchmetrics.image.fid import FrechetInceptionDistance

from synthcl.pipeline.evaluation import distances, memorisation
from synthcl.pipeline.evaluation.alignment import alignment, uniformity
from synthcl.pipeline.evaluation.distances import nearest, neighbour_distances
from synthcl.pipeline.evaluation.frechet import frechet_distance
from synthcl.pipeline.evaluation.manifold import measure_manifold
from synthcl.pipeline.evaluation.memorisation import measure_memorisation


@pytest.fixture(params=[None, 700])
def block_values(request, monkeypatch):
    """Whole matrices, and blocks of a few rows."""
    if request.param:
        monkeypatch.setattr(distances, "BLOCK_VALUES", request.param)


def points(num_points, num_features=8, *, seed=0, shift=0.0, scale=1.0):
    random = torch.Generator().manual_seed(seed)
    return scale * torch.randn(num_points, num_features, generator=random) + shift


SETS = {
    "alike": (points(150), points(120, seed=1)),
    "narrow": (points(150), points(120, seed=1, scale=0.5)),
    "apart": (points(150), points(120, seed=1, shift=3.0)),
    "far from the origin": (points(150, shift=100.0), points(120, seed=1, shift=100.5)),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_coverage_are_those_of_prdc(name, k, block_values):
    real, generated = SETS[name]
    with contextlib.redirect_stdout(io.StringIO()):
        expected = compute_prdc(real.double().numpy(), generated.double().numpy(), nearest_k=k)
    ours = measure_manifold(real, generated, k)
    found = {n: getattr(ours, n) for n in ("precision", "recall", "density", "coverage")}
    assert found == pytest.approx(expected, abs=1e-9)


def test_distances_agree_with_those_of_pairs(block_values):
    a, b = points(40), points(30, seed=1)
    matrix = torch.cdist(a.double(), b.double())
    value, which = nearest(a, b)
    torch.testing.assert_close(value.double(), matrix.min(1).values, rtol=1e-5, atol=1e-5)
    assert torch.equal(which, matrix.argmin(1))
    own = torch.cdist(a.double(), a.double()).sort(dim=1).values[:, 3]
    torch.testing.assert_close(neighbour_distances(a, 3).double(), own, rtol=1e-5, atol=1e-5)


def test_equal_points_are_each_others_neighbours():
    twice = points(10, shift=50.0).repeat(2, 1)
    assert neighbour_distances(twice, 1).max() < 0.05 < neighbour_distances(twice, 2).min()


class Flat(torch.nn.Module):
    """Images (N, 1, 1, F) are their own features."""

    num_features = 8

    def forward(self, images):
        return images.flatten(1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SETS)
def test_frechet_distance_is_that_of_torchmetrics(name):
    real, generated = SETS[name]
    metric = FrechetInceptionDistance(Flat(), input_img_size=(1, 1, 8), normalize=False).set_dtype(torch.float64)
    metric.update(real.double()[:, None, None], real=True)
    metric.update(generated.double()[:, None, None], real=False)
    assert frechet_distance(real, generated) == pytest.approx(metric.compute().item(), rel=1e-5, abs=1e-6)


def test_frechet_distance_in_closed_form():
    x = torch.tensor([[-1.0], [1.0]]).repeat(500, 1)
    spread = x.std().item()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, 3 * x + 2) == pytest.approx(4 + (2 * spread) ** 2)


def test_fewer_images_than_features_still_give_a_number():
    assert 0 < frechet_distance(points(5, 30), points(6, 30, seed=1)) < math.inf


def test_copies_are_found():
    train, held_out = points(200), points(100, seed=1)
    honest = measure_memorisation(points(100, seed=2), train, held_out).summary()
    copies = measure_memorisation(train[:100] + points(100, seed=3, scale=1e-3), train, held_out).summary()
    assert honest["authenticity"] > 0.3 and 0.35 < honest["nearer_to_train"] < 0.65
    assert 0.35 < honest["nearer_than_held_out"] < 0.65
    assert copies["authenticity"] == 0 and copies["nearer_to_train"] == copies["nearer_than_held_out"] == 1
    assert copies["train_distance"] < 0.01 < copies["held_out_distance"]


def test_ranks_agree_with_a_naive_count():
    first, second = (points(n, 1, seed=n)[:, 0].mul(3).round() for n in (40, 30))  # many ties
    pairs = [(a < b) + 0.5 * (a == b) for a in first.tolist() for b in second.tolist()]
    assert memorisation._rank_below(first, second) == pytest.approx(np.mean(pairs))


def test_authenticity_agrees_with_a_naive_one(block_values):
    generated, train = points(60, seed=1).numpy(), points(80).numpy()
    authentic = []
    for sample in generated:
        gaps = np.linalg.norm(train - sample, axis=1)
        closest = int(gaps.argmin())
        others = np.delete(np.linalg.norm(train - train[closest], axis=1), closest)
        authentic.append(gaps[closest] >= others.min())
    found = measure_memorisation(torch.from_numpy(generated), torch.from_numpy(train), None)
    assert found.authentic.tolist() == authentic
    assert found.summary()["nearer_to_train"] is None


def test_more_training_images_do_not_look_like_copying():
    shares = [measure_memorisation(points(300, seed=2), points(n), points(100, seed=1)) for n in (100, 2000)]
    assert abs(shares[0].summary()["nearer_to_train"] - shares[1].summary()["nearer_to_train"]) < 0.1


def test_alignment_and_uniformity_agree_with_naive_ones(block_values):
    a, b = points(50), points(50, seed=1)
    a1, b1 = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    assert alignment(a, b) == pytest.approx((a1 - b1).square().sum(1).mean().item(), rel=1e-5)
    assert uniformity(a) == pytest.approx(torch.pdist(a1).square().mul(-2).exp().mean().log().item(), rel=1e-4)
    assert alignment(a, 7 * a) == pytest.approx(0, abs=1e-6) and uniformity(a[:1].repeat(9, 1)) == pytest.approx(
        0, abs=1e-5
    )
