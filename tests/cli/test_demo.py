"""The demo."""

import pytest

from synthcl.pipeline.evaluation import linear


@pytest.fixture(scope="module", autouse=True)
def quick_probes():
    """One penalty, chosen on one fold: encoders of two steps take the solver long, and nothing here is about it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "L2_GRID", (0.1,))
        patch.setattr(linear, "FEW_SAMPLES", 0)
        yield


def test_the_demo_is_a_comparison(synthcl, tmp_path):
    options = ["--image-size", 8, "--pretrain-steps", 1, "--train-steps", 1, "--batch-size", 16, "--seeds", 1]
    result = synthcl("demo", "--out", tmp_path, *options, "--json").json
    assert result["arms"] == ["real", "offline", "online"] and result["winner"] is None
    assert (tmp_path / "comparison" / "report.html").exists()
