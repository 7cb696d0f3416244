"""Joining the learner's gradient to the discriminator's, within a bound."""

import math

import pytest
import torch

from synthcl.generators.gan.hard_gradient import MOST, join_gradients, join_parameter_gradients

N = 6


class TestJoinGradients:
    def test_a_short_hard_gradient_is_added_as_it_is(self):
        realism, hard = torch.randn(N, 3, 4, 4), torch.randn(N, 3, 4, 4) * 1e-3
        joined, metrics = join_gradients(realism, hard, 1.0)
        assert torch.equal(joined, realism + hard) and metrics["hard_clipped"] == 0

    @pytest.mark.parametrize("bound", [0.1, 1.0, 3.0])
    def test_each_sample_is_bounded_by_its_own_realism(self, bound):
        torch.manual_seed(0)
        realism = torch.randn(N, 3, 4, 4) * torch.logspace(-6, 2, N)[:, None, None, None]
        hard = torch.randn(N, 3, 4, 4)
        joined, metrics = join_gradients(realism, hard, bound)
        for r, h, j in zip(realism, hard, joined, strict=True):
            added = j - r
            assert added.norm() <= bound * r.norm() * (1 + 1e-4) + 1e-7
            if bound * r.norm() < h.norm():
                assert added.norm().item() == pytest.approx(bound * r.norm().item(), rel=1e-3)
                assert torch.cosine_similarity(added.flatten(), h.flatten(), dim=0) > 0.999
        expected = sum(bound * r.norm() < h.norm() for r, h in zip(realism, hard, strict=True)) / N
        assert metrics["hard_clipped"].item() == pytest.approx(expected.item())

    def test_the_bound_does_not_depend_on_the_scale_of_the_batch(self):
        realism, hard = torch.randn(N, 3, 4, 4), torch.randn(N, 3, 4, 4) * 5
        whole, _ = join_gradients(realism, hard, 1.0)
        part, _ = join_gradients(realism[:2] * 3, hard[:2] * 3, 1.0)
        torch.testing.assert_close(part, whole[:2] * 3)

    def test_no_realism_gradient_lets_no_hard_gradient_through(self):
        joined, metrics = join_gradients(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4), 1.0)
        assert torch.equal(joined, torch.zeros(1, 3, 4, 4)) and metrics["hard_clipped"] == 1
        assert metrics["hard_ratio"] == MOST  # no reason to stop, as a number that is not finite would be

    def test_an_infinite_gradient_is_not_hidden(self):
        hard = torch.full((1, 3, 4, 4), math.inf)
        for realism in (torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)):
            assert join_gradients(realism, hard, 1.0)[1]["hard_ratio"].isinf()
            assert join_parameter_gradients([realism], [hard], 1.0)[1]["hard_ratio"].isinf()

    def test_a_nan_is_not_hidden(self):
        hard = torch.zeros(2, 3, 4, 4)
        hard[0, 0, 0, 0] = math.nan
        joined, metrics = join_gradients(torch.ones(2, 3, 4, 4), hard, 1.0)
        assert joined[0].isnan().any() and not joined[1].isnan().any() and metrics["hard_ratio"].isnan()


class TestJoinParameterGradients:
    SHAPES = ((3, 4), (5,), ())

    def gradients(self, seed, scale=1.0):
        random = torch.Generator().manual_seed(seed)
        return [scale * torch.randn(shape, generator=random) for shape in self.SHAPES]

    @pytest.mark.parametrize("bound", [0.0, 0.25, 2.0, 1e4])
    def test_the_hard_part_is_bounded_by_the_norm_of_the_realism_part_over_all_parameters(self, bound):
        realism, hard = self.gradients(0), self.gradients(1, scale=30.0)
        norms = [math.sqrt(sum(value**2 for g in part for value in g.flatten().tolist())) for part in (realism, hard)]
        factor = min(1.0, bound * norms[0] / norms[1])
        joined, metrics = join_parameter_gradients(realism, hard, bound)
        for r, h, j in zip(realism, hard, joined, strict=True):
            torch.testing.assert_close(j, r + factor * h)
        assert metrics["hard_ratio"].item() == pytest.approx(norms[1] / norms[0])
        assert metrics["hard_clipped"] == (factor < 1)

    def test_a_hard_gradient_of_zeros_leaves_the_realism_gradient_as_it_is(self):
        realism = self.gradients(0)
        joined, metrics = join_parameter_gradients(realism, [torch.zeros_like(g) for g in realism], 1.0)
        assert all(torch.equal(j, r) for j, r in zip(joined, realism, strict=True))
        assert metrics["hard_ratio"] == 0 and metrics["hard_clipped"] == 0

    def test_a_nan_is_not_hidden(self):
        realism, hard = self.gradients(0), self.gradients(1)
        hard[2] = torch.tensor(math.nan)
        joined, metrics = join_parameter_gradients(realism, hard, 1.0)
        assert all(g.isnan().all() for g in joined) and metrics["hard_ratio"].isnan()
