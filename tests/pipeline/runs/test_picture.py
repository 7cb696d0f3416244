"""The curves of a run: which panels there are, and what is in them."""

import io

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.runs import picture
from synthcl.pipeline.runs.picture import choose_panels, curve, draw_run


def test_metrics_that_belong_together_share_a_panel_and_none_is_left_out():
    rows = [
        {"step": 1, "loss": 1.0, "hardness_real": 1.0, "learning_rate": 0.1},
        {"step": 2, "hardness_synthetic": 2.0, "something_new": 3.0},
    ]
    assert choose_panels(rows) == {
        "loss": ["loss"],
        "hardness": ["hardness_real", "hardness_synthetic"],
        "learning_rate": ["learning_rate"],
        "something_new": ["something_new"],
    }


@pytest.mark.parametrize("num_rows", [1, 7, picture.MAX_POINTS, 3 * picture.MAX_POINTS + 1])
def test_a_long_curve_is_drawn_as_means_of_neighbours(num_rows):
    rows = [{"step": step, "loss": 2.0 * step, "rare": None if step % 2 else 1.0} for step in range(num_rows)]
    steps, values = curve(rows, "loss")
    assert len(steps) == min(num_rows, picture.MAX_POINTS)
    assert np.allclose(values, 2 * steps) and (np.diff(steps) > 0).all()
    assert len(curve(rows, "rare")[0]) == min((num_rows + 1) // 2, picture.MAX_POINTS)


def test_a_picture_grows_with_its_panels_and_takes_any_title():
    sizes = []
    for names in (["loss"], ["loss", *"abc"]):
        rows = [{"step": step, **dict.fromkeys(names, 1.0 / step)} for step in (1, 2, 3)]
        with Image.open(io.BytesIO(draw_run(rows, "runs/$x_1$ and ${"))) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] < sizes[1][0] and sizes[0][1] < sizes[1][1]
