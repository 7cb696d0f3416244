"""Precision, recall, density and coverage are those of prdc."""

import contextlib
import io

import pytest
from prdc import compute_prdc

from synthcl.pipeline.evaluation.manifold import measure_manifold


@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_coverage_are_those_of_prdc(two_sets, k, block_values):
    real, generated = two_sets
    with contextlib.redirect_stdout(io.StringIO()):
        expected = compute_prdc(real.double().numpy(), generated.double().numpy(), nearest_k=k)
    ours = measure_manifold(real, generated, k)
    found = {n: getattr(ours, n) for n in ("precision", "recall", "density", "coverage")}
    assert found == pytest.approx(expected, abs=1e-9)
