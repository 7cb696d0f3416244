"""The plots of the report, each an SVG element. An arm has one colour and one marker everywhere.

Shapes: none; `scores` are accuracies in [0, 1] by arm and seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from .looks import Look
from .statistics import Difference, Spread, spread
from .svg import COLORS, style, to_svg
from .verdict import percent, points

Scores = Mapping[str, Mapping[int, float]]
Curve = tuple[np.ndarray, np.ndarray]
"""Steps (T,) and values over seeds (seeds, T)."""

Looks = Mapping[str, Look]
"""By the name of the arm."""

WIDTH = 3.6
"""Inches: at the width of a phone, text is then as large as the page's small print."""
CHARACTER = 0.021
"""Width of a bold letter, as a part of `WIDTH`."""
MAX_POINTS = 120
"""The most points that a curve is drawn with; a longer one is thinned."""


def accuracy_plot(name: str, scores: Scores, looks: Looks, title: str) -> str:
    """A row for each arm: every seed a dot, the mean, and its interval where there is one."""
    with style():
        figure, axes = _rows(list(scores), [looks[arm] for arm in scores])
        for row, (arm, own) in enumerate(scores.items()):
            _row_of_values(axes, row, looks[arm], [100 * value for value in own.values()])
        axes.set_xlabel("top-1 accuracy, %")
        words = "; ".join(f"{arm} {_with_interval(spread(list(own.values())))}" for arm, own in scores.items())
        return to_svg(figure, name, title, f"Top-1 accuracy in percent, mean and interval over seeds: {words}.")


def difference_plot(name: str, differences: Sequence[Difference], looks: Looks) -> str:
    """A row for each comparison: every seed's difference, the mean and its interval, and a line at no difference.

    The mean's mark is filled where a difference was found.
    """
    with style():
        labels = [f"{d.arm} vs {d.reference}" for d in differences]
        figure, axes = _rows(labels, [looks[d.arm] for d in differences])
        axes.axvline(0, color=COLORS["ink"], linewidth=1, zorder=1.9)
        for row, difference in enumerate(differences):
            found = difference.outcome in ("better", "worse")
            values = [100 * value for value in difference.values]
            _row_of_values(axes, row, looks[difference.arm], values, signed=True, hollow=not found)
        axes.set_xlabel("difference of top-1 accuracy, points")
        words = "; ".join(
            f"{label} {_with_interval(d.spread, signed=True)}, {d.outcome}"
            for label, d in zip(labels, differences, strict=True)
        )
        return to_svg(figure, name, "Paired differences", f"Differences in percentage points: {words}.")


def fraction_plot(
    name: str, curves: Mapping[str, Mapping[float, Sequence[float]]], looks: Looks, reference: str, title: str
) -> str:
    """Accuracy over the part of the labels, with a band from the lowest to the highest seed, and a line at what the
    reference reaches with all labels."""
    with style():
        figure, axes = _panel(2.7, list(curves))
        fractions = sorted({fraction for curve in curves.values() for fraction in curve})
        ends = []
        for arm, curve in curves.items():
            x = sorted(curve)
            values = 100 * np.array([[np.mean(curve[f]), np.min(curve[f]), np.max(curve[f])] for f in x])
            _band(axes, looks[arm], x, values[:, 1], values[:, 2])
            _line(axes, looks[arm], x, values[:, 0], marker=looks[arm].marker, markersize=4)
            ends.append((arm, values[-1, 0]))
        level = 100 * float(np.mean(curves[reference][1.0]))
        axes.axhline(level, color=COLORS[looks[reference].variable], linewidth=0.9, linestyle=(0, (1, 2)))
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(fractions))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
        axes.set_xlabel("labels used (logarithmic)")
        axes.set_ylabel("top-1 accuracy, %")
        _label_ends(axes, 1.0, ends, looks)
        words = "; ".join(
            f"{arm} " + ", ".join(f"{100 * np.mean(curve[f]):.1f} at {percent(f)}" for f in sorted(curve))
            for arm, curve in curves.items()
        )
        return to_svg(figure, name, title, f"Mean top-1 accuracy in percent by part of the labels: {words}.")


def curve_plot(name: str, curves: Mapping[str, Curve], looks: Looks, title: str, meaning: str) -> str:
    """A quantity over training: the mean over seeds, with a band from the lowest to the highest."""
    with style():
        figure, axes = _panel(2.3, list(curves))
        ends = []
        for arm, (steps, values) in curves.items():
            mean = values.mean(axis=0)
            _band(axes, looks[arm], steps, values.min(axis=0), values.max(axis=0))
            _line(axes, looks[arm], steps, mean, marker=looks[arm].marker if len(steps) == 1 else "")
            ends.append((arm, mean[-1]))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("step")
        _label_ends(axes, max(curve[0][-1] for curve in curves.values()), ends, looks)
        means = {arm: values.mean(axis=0) for arm, (_, values) in curves.items()}
        words = "; ".join(f"{arm} from {mean[0]:.3g} to {mean[-1]:.3g}" for arm, mean in means.items())
        return to_svg(figure, name, title, f"{meaning} Mean over seeds: {words}.")


def thin(steps: np.ndarray, values: np.ndarray) -> Curve:
    """At most `MAX_POINTS` points of a curve (T,), (seeds, T): means of runs of neighbours, and the last as it is."""
    group = -(-len(steps) // MAX_POINTS)
    if group == 1:
        return steps, values
    starts = np.arange(0, len(steps), group)
    sizes = np.diff([*starts, len(steps)])
    means = np.add.reduceat(values, starts, axis=1) / sizes
    return np.add.reduceat(steps, starts) / sizes, means


def _panel(height: float, names: Sequence[str]) -> tuple[Figure, Axes]:
    """Axes with room to their right for the names of lines."""
    figure = Figure(figsize=(WIDTH, height))
    room = min(0.45, 0.04 + CHARACTER * max(len(name) for name in names))
    axes = figure.add_axes((0.15, 0.46 / height, 0.85 - room, 1 - 0.56 / height))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure, axes


def _rows(labels: Sequence[str], looks: Sequence[Look]) -> tuple[Figure, Axes]:
    """Axes with a row for each of `labels`, which stand above them, the first at the top."""
    height = 0.52 + 0.52 * len(labels)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.03, 0.46 / height, 0.79, 1 - 0.50 / height))
    axes.set_yticks([])
    axes.set_ylim(len(labels) - 0.5, -0.6)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    for row, (label, look) in enumerate(zip(labels, looks, strict=True)):
        axes.annotate(
            label,
            (0, row - 0.36),
            xycoords=("axes fraction", "data"),
            va="center",
            color=COLORS[look.variable],
            fontweight="bold",
        )
    return figure, axes


def _row_of_values(
    axes: Axes, row: int, look: Look, values: Sequence[float], *, signed: bool = False, hollow: bool = False
) -> None:
    color, between = COLORS[look.variable], spread(values)
    if between.interval is not None:
        low, high = between.interval
        # Student's interval knows of no bounds: what lies beyond those of an accuracy is cut, and an arrow says so.
        ends = (low, high) if signed else (max(low, 0.0), min(high, 100.0))
        axes.plot(ends, [row, row], color=color, linewidth=2.4, solid_capstyle="butt", zorder=2)
        for end, whole, arrow in zip(ends, (low, high), ("<", ">"), strict=True):
            if end == whole:
                axes.plot([end, end], [row - 0.12, row + 0.12], color=color, linewidth=1.2, zorder=2)
            else:
                axes.plot([end], [row], arrow, color=color, markersize=6, zorder=2, clip_on=False)
    # Seeds lie below the mean, a little apart in height, so that equal values are seen as several.
    heights = row + 0.26 + 0.12 * (np.arange(len(values)) - (len(values) - 1) / 2) / max(1, len(values) - 1)
    axes.plot(values, heights, "o", markersize=3.2, markerfacecolor="none", markeredgecolor=color, zorder=4)
    face, edge = (COLORS["paper"], color) if hollow else (color, COLORS["paper"])
    mark: dict[str, Any] = {"markerfacecolor": face, "markersize": 7.5, "markeredgecolor": edge}
    axes.plot([between.mean], [row], look.marker, color=color, markeredgewidth=1.6 if hollow else 1, **mark, zorder=3)
    text = points(between.mean / 100) if signed else f"{between.mean:.2f}"
    axes.annotate(
        text, (1.03, row), xycoords=("axes fraction", "data"), va="center", color=COLORS["ink"], fontweight="bold"
    )


def _line(axes: Axes, look: Look, x: ArrayLike, y: ArrayLike, **options: Any) -> None:
    axes.plot(x, y, color=COLORS[look.variable], linestyle=look.dash, **options)


def _band(axes: Axes, look: Look, x: ArrayLike, low: np.ndarray, high: np.ndarray) -> None:
    axes.fill_between(x, low, high, color=COLORS[look.variable], alpha=0.16, linewidth=0)


def _label_ends(axes: Axes, x: float, ends: Sequence[tuple[str, float]], looks: Looks) -> None:
    """Arms' names beside the ends of their lines, moved apart where they would lie on each other."""
    low, high = axes.get_ylim()
    inches = axes.bbox.height / axes.figure.dpi
    apart = (high - low) * 0.145 / inches
    placed = sorted(ends, key=lambda end: end[1])
    heights = [height for _, height in placed]
    for _ in range(50):
        for i in range(len(heights) - 1):
            overlap = apart - (heights[i + 1] - heights[i])
            if overlap > 0:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    excess = max(0.0, heights[-1] - high) - max(0.0, low - heights[0])
    for (arm, _), height in zip(placed, [height - excess for height in heights], strict=True):
        axes.annotate(
            arm,
            (x, height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=COLORS[looks[arm].variable],
            fontweight="bold",
            annotation_clip=False,
        )


def _with_interval(between: Spread, *, signed: bool = False) -> str:
    word = points if signed else (lambda value: f"{100 * value:.2f}")
    if between.interval is None:
        return word(between.mean)
    low, high = between.interval
    cut = "" if signed or (low >= 0 and high <= 1) else ", drawn as far as 0 and 100"
    return f"{word(between.mean)} ({word(low)} to {word(high)}{cut})"
