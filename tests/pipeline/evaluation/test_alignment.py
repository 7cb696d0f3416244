"""Alignment and uniformity agree with naive ones."""

import pytest
import torch

from synthcl.pipeline.evaluation.alignment import alignment, uniformity


def test_alignment_and_uniformity_agree_with_naive_ones(points, block_values):
    a, b = points(50), points(50, seed=1)
    a1, b1 = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    assert alignment(a, b) == pytest.approx((a1 - b1).square().sum(1).mean().item(), rel=1e-5)
    assert uniformity(a) == pytest.approx(torch.pdist(a1).square().mul(-2).exp().mean().log().item(), rel=1e-4)
    assert alignment(a, 7 * a) == pytest.approx(0, abs=1e-6) and uniformity(a[:1].repeat(9, 1)) == pytest.approx(
        0, abs=1e-5
    )


def test_powers_and_scales_other_than_the_default(points):
    a, b = points(20), points(20, seed=1)
    a1, b1 = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    assert alignment(a, b, alpha=1) == pytest.approx((a1 - b1).norm(dim=1).mean().item(), rel=1e-5)
    assert uniformity(a, t=3) == pytest.approx(torch.pdist(a1).square().mul(-3).exp().mean().log().item(), rel=1e-4)


def test_spread_features_are_more_uniform_than_those_of_a_cone(points):
    assert uniformity(points(100)) < uniformity(points(100, shift=3.0)) < 0
