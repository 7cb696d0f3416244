"""The curves of one run as a picture: `synthcl runs show RUN --out FILE.png`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

TOGETHER = {
    "accuracy of nearest neighbours": ("knn_top1",),
    "loss": ("loss",),
    "hardness": ("hardness_real", "hardness_synthetic"),
    "cosine similarity": ("view_similarity_real", "view_similarity_synthetic", "pair_similarity"),
    "effective rank of features": ("rankme",),
    "alignment and spread of features": ("alignment", "feature_spread"),
    "uniformity of features": ("uniformity",),
    "losses of the generator": ("loss_generator", "loss_discriminator"),
    "gradient penalties": ("penalty_real", "penalty_fake"),
    "samples among real images": ("precision", "recall"),
}
"""Metrics that share a panel, by its title, in the order of the panels; each of the others has its own, after these."""
COLUMNS = 3
"""Panels a row."""
PANEL_INCHES = (3.6, 2.3)
"""Width and height of a panel."""
DPI = 110
MAX_POINTS = 300
"""The most points of a curve; a longer one is drawn as means of neighbours. Ours: a panel has room for no more."""


def draw_run(rows: Sequence[dict[str, Any]], title: str) -> bytes:
    """A PNG with a panel for each metric, or for metrics that belong together, over the steps.

    Args:
        rows: of `metrics.jsonl`, oldest first, at least one.
        title: above the panels.
    """
    import matplotlib
    from matplotlib.figure import Figure

    panels = choose_panels(rows)
    height = -(-len(panels) // COLUMNS)
    width = min(COLUMNS, len(panels))
    style: Any = {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
    with matplotlib.rc_context(style):
        size = (PANEL_INCHES[0] * max(width, 2), PANEL_INCHES[1] * height + 0.4)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", parse_math=False)
        axes = figure.subplots(height, width, squeeze=False).ravel()
        for ax, (heading, names) in zip(axes, panels.items(), strict=False):
            for name in names:
                steps, values = curve(rows, name)
                ax.plot(steps, values, label=name, linewidth=1.3, marker="o" if len(steps) < 20 else "", markersize=3)
            ax.set_title(heading, fontsize=8)
            ax.set_xlabel("step")
            if len(names) > 1:
                ax.legend(fontsize=6.5, framealpha=0.7, edgecolor="none", borderpad=0.2)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def choose_panels(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The metrics that some row has, by the title of their panel."""
    there = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    shared = {title: [name for name in names if name in there] for title, names in TOGETHER.items()}
    taken = {name for names in shared.values() for name in names}
    return {t: names for t, names in shared.items() if names} | {name: [name] for name in there if name not in taken}


def curve(rows: Sequence[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (T,) and values (T,) of a metric, T at most `MAX_POINTS`; rows that lack it are passed over."""
    points = np.array([(row["step"], row[name]) for row in rows if row.get(name) is not None], dtype=np.float64)
    parts = np.array_split(points, min(len(points), MAX_POINTS))
    steps, values = np.stack([part.mean(axis=0) for part in parts]).T
    return steps, values
