"""Matplotlib figures as SVG for a page: colours are CSS variables, text is text, and names are unique in the page.

Figures are drawn in sentinel colours, one for each name in `COLORS`; in the SVG they become `var(--NAME)`, so that one
drawing serves light and dark pages and print.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from .looks import ALL

COLORS = {
    name: f"#{number:02x}0a{number:02x}"
    for number, name in enumerate(("ink", "muted", "grid", "paper", *(look.variable for look in ALL)))
}
"""Sentinels; none is a colour that anything else has."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "synthcl",
    "axes.axisbelow": True,
    "font.size": 9,
    "text.color": COLORS["ink"],
    "axes.labelcolor": COLORS["muted"],
    "axes.edgecolor": COLORS["grid"],
    "axes.labelsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": COLORS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": COLORS["muted"],
    "ytick.color": COLORS["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
}


def style() -> Any:
    """A context in which figures are drawn for `to_svg`."""
    return matplotlib.rc_context(STYLE)


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element.

    Args:
        figure: drawn in the context of `style`.
        name: unique in the page; every id in the SVG begins with it.
        title, description: for those who do not see it.
    """
    figure.draw_without_rendering()
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    found = re.search(r'viewBox="([^"]*)"', svg)
    assert found is not None, "matplotlib's SVG has a viewBox"
    view_box = found[1]
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r"font: (?:[a-z]+ )*([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(r"<[^>]*>", _shortened, body)
    for color, sentinel in COLORS.items():
        body = body.replace(sentinel, f"var(--{color})")
    body = re.sub(r"\n\s*", "\n", body).strip()
    return (
        f'<svg viewBox="{view_box}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>\n{body}'
    )


def _shortened(tag: re.Match[str]) -> str:
    """A tag with its numbers to hundredths of a point, which are enough. Words between tags stay as they are."""
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0])
