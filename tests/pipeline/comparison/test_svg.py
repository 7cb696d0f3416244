"""Figures as SVG for a page of many: names of their own, colours of the page, text as text."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from synthcl.pipeline.comparison.svg import COLORS, style, to_svg


def drawn(name="one", title="A title", description="words", label="label"):
    with style():
        figure = Figure(figsize=(3, 2))
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        for color in ("online", "real"):
            axes.fill_between([0, 1], [0, 0], [1, np.pi / 3], color=COLORS[color], alpha=0.2)
            axes.plot([0, 1], [0, 1], "o", color=COLORS[color])
        axes.set_xlabel(label)
        return to_svg(figure, name, title, description)


def test_ids_are_the_figures_own_and_lead_somewhere():
    text = drawn("plot-7")
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(set(ids)) == len(ids) and all(each.startswith("plot-7-") for each in ids)
    used = re.findall(r'href="#([^"]*)"', text) + re.findall(r"url\(#([^)]*)\)", text)
    assert used and set(used) <= set(ids)


def test_colours_are_variables_and_no_sentinel_is_left():
    text = drawn()
    assert {"var(--online)", "var(--real)", "var(--grid)", "var(--muted)"} <= set(re.findall(r"var\(--\w+\)", text))
    assert not any(sentinel in text for sentinel in COLORS.values())
    assert len(set(COLORS.values())) == len(COLORS)


@pytest.mark.parametrize("words", ["<b>&\"'", "$x$ and $", "100 %", "lr0.001 and 4.605"])
def test_words_come_as_they_are(words):
    tree = ElementTree.fromstring(drawn(title=words, description=words, label=words))
    texts = {element.tag: element.text for element in tree.iter()}
    assert texts["title"] == texts["desc"] == words
    assert words in [element.text for element in tree.iter() if element.tag.endswith("text")]


def test_numbers_of_a_drawing_have_two_decimals():
    assert not re.search(r"\d\.\d{3}", drawn())


def test_the_same_figure_is_the_same_text():
    assert drawn() == drawn()
    assert not re.search(r"20\d\d-\d\d|<metadata|<!--", drawn())
