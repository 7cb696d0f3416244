"""Plots say in words what they draw, thin what is long, and keep names apart."""

import re
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Annotation

from synthcl.pipeline.comparison import plots
from synthcl.pipeline.comparison.looks import looks
from synthcl.pipeline.comparison.plots import (
    MAX_POINTS,
    accuracy_plot,
    curve_plot,
    difference_plot,
    fraction_plot,
    thin,
)
from synthcl.pipeline.comparison.statistics import paired_difference, with_holm
from synthcl.pipeline.comparison.svg import style

LOOKS = looks([])


def words_of(svg: str) -> str:
    return re.search(r"<desc[^>]*>(.*?)</desc>", svg)[1]


def texts_of(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("length", [1, MAX_POINTS, MAX_POINTS + 1, 1000, 1001])
def test_a_long_curve_becomes_means_of_neighbours(length):
    steps, values = np.arange(1.0, length + 1), np.random.default_rng(0).normal(size=(3, length))
    found_steps, found = thin(steps, values)
    size = -(-length // MAX_POINTS)
    parts = [slice(i, i + size) for i in range(0, length, size)]
    np.testing.assert_allclose(found_steps, [steps[part].mean() for part in parts])
    np.testing.assert_allclose(found, np.array([values[:, part].mean(axis=1) for part in parts]).T)
    assert len(found_steps) <= MAX_POINTS


def test_accuracies_with_their_intervals():
    svg = accuracy_plot("p", {"real": {0: 0.5, 1: 0.6, 2: 0.7}, "online": {0: 0.81}}, LOOKS, "T")
    assert words_of(svg).endswith("over seeds: real 60.00 (35.16 to 84.84); online 81.00.")
    assert {"real", "online", "60.00", "81.00"} <= set(texts_of(svg))


def test_an_interval_beyond_what_an_accuracy_can_be_is_said_to_be_cut():
    svg = accuracy_plot("p", {"real": {0: 0.2, 1: 0.9, 2: 0.99}}, LOOKS, "T")
    assert "drawn as far as 0 and 100" in words_of(svg)


def test_differences_with_their_outcomes():
    real = {0: 0.60, 1: 0.61, 2: 0.60}
    better = paired_difference("online", "real", {0: 0.70, 1: 0.71, 2: 0.702}, real)
    none = paired_difference("offline", "real", {0: 0.60, 1: 0.62, 2: 0.59}, real)
    svg = difference_plot("p", with_holm([better, none]), LOOKS)
    found = words_of(svg)
    assert re.search(r"online vs real \+10\.07 \(.* to .*\), better; offline vs real .*, none\.$", found), found
    assert {"online vs real", "+10.07"} <= set(texts_of(svg))


def test_accuracy_by_labels():
    curves = {"real": {0.1: [0.2, 0.4], 1.0: [0.5, 0.7]}, "online": {0.1: [0.5], 1.0: [0.8]}}
    svg = fraction_plot("p", curves, LOOKS, "real", "T")
    assert words_of(svg).endswith("real 30.0 at 10%, 60.0 at 100%; online 50.0 at 10%, 80.0 at 100%.")
    assert {"10%", "100%"} <= set(texts_of(svg))


def test_a_quantity_over_training():
    steps = np.array([1.0, 2.0, 3.0])
    curves = {"real": (steps, np.array([[3.0, 2.0, 1.0], [5.0, 2.0, 2.0]])), "online": (steps[:1], np.array([[7.0]]))}
    assert words_of(curve_plot("p", curves, LOOKS, "T", "Loss.")) == (
        "Loss. Mean over seeds: real from 4 to 1.5; online from 7 to 7."
    )


def test_names_at_the_ends_of_lines_do_not_lie_on_each_other():
    names = ["real", "offline", "online", "fresh"]
    with style():
        figure, axes = plots._panel(2.7, names)
        axes.set_ylim(0, 1)
        plots._label_ends(axes, 1.0, [(name, 0.99 + i / 1000) for i, name in enumerate(names)], LOOKS)
        figure.draw_without_rendering()
        labels = [child for child in axes.get_children() if isinstance(child, Annotation)]
        boxes = sorted((label.get_window_extent().y0, label.get_window_extent().y1) for label in labels)
    assert len(boxes) == 4
    assert all(upper[0] > lower[1] - 1 for lower, upper in pairwise(boxes))
    assert [label.get_text() for label in sorted(labels, key=lambda label: label.xy[1])] == names
