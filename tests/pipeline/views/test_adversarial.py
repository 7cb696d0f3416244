"""Adversarial views: FGSM written out pixel by pixel, valid images, and no trace of the graph."""

import itertools

import pytest
import torch

from synthcl.pipeline.views import denormalize, normalize
from synthcl.pipeline.views.adversarial import AdversarialViews
from synthcl.pipeline.views.normalization import IMAGENET_MEAN, IMAGENET_STD


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("epsilon", [0.015, 0.4])
def test_each_pixel_moves_by_epsilon_along_its_gradient_and_stays_in_range(epsilon):
    pixels, gradient = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1) - 0.5
    moved = AdversarialViews(epsilon)(normalize(pixels), gradient)
    for index in itertools.product(*(range(n) for n in pixels.shape)):
        value, slope, channel = float(pixels[index]), float(gradient[index]), index[1]
        expected = min(1.0, max(0.0, value + (epsilon if slope > 0 else -epsilon)))
        normalised = (expected - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        assert float(moved[index]) == pytest.approx(normalised, abs=1e-9)


def test_only_the_sign_of_the_gradient_counts_and_what_has_none_stays():
    views, gradient = normalize(random(2, 3, 4, 4)), random(2, 3, 4, 4, seed=1) - 0.5
    adversary = AdversarialViews(0.1)
    assert torch.equal(adversary(views, gradient * 65536), adversary(views, gradient))
    for nothing in (0.0, float("nan")):
        still = adversary(views, torch.full_like(views, nothing))
        torch.testing.assert_close(still, views)


@pytest.mark.parametrize("graph", [False, True])
def test_watched_views_hold_their_gradient_and_the_moved_ones_no_graph(graph):
    leaf = normalize(random(2, 3, 4, 4)).requires_grad_(graph)
    watched = AdversarialViews(0.1).watch(leaf * 1 if graph else leaf)
    watched.square().sum().backward()
    torch.testing.assert_close(watched.grad, 2 * leaf.detach())
    assert graph == (leaf.grad is not None)
    moved = AdversarialViews(0.1)(watched, watched.grad)
    assert not moved.requires_grad
    # The loss above grows away from 0, which is the mean grey.
    inside = (denormalize(moved) > 0) & (denormalize(moved) < 1)
    assert (moved.abs() > watched.abs())[inside].all()
