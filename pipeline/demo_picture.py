"""The demo's picture: real images beside samples, how the losses went, and what came of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.utils import make_grid

from .configs.demo import DemoConfig
from .data import open_images
from .files import write_file
from .generation import open_generator, sample_key
from .run import MetricsLog
from .views import to_float

COLORS = {"untrained": "#9aa0a6", "real": "#4c78a8", "offline": "#f58518", "online": "#54a24b"}
NUM_IMAGES = 48


def draw_picture(
    path: Path, config: DemoConfig, rows: list[dict[str, Any]], runs: dict[str, Path], generator: Path
) -> None:
    """Write the picture as a PNG.

    Args:
        path: of the PNG.
        config: of the demo.
        rows: what `demo` returns.
        runs: each regime's run folder.
        generator: the pretrained generator.
    """
    matplotlib.use("Agg")
    figure = Figure(figsize=(12, 7.2), layout="constrained", dpi=110)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.05, 1))
    images = top.subplots(1, 3)
    _show(images[0], _real(config), f"real images ({config.data})")
    _show(images[1], _samples(generator, config), "pretrained generator: what offline shards hold")
    _show(images[2], _samples(runs["online"], config), "G_ema after joint training (online)")
    plots = bottom.subplots(1, 3)
    for regime, run in runs.items():
        rows_logged = MetricsLog(run / "metrics.jsonl").read()
        steps = [row["step"] for row in rows_logged]
        plots[0].plot(steps, [row["hardness_real"] for row in rows_logged], color=COLORS[regime], label=regime)
        if "hardness_synthetic" in rows_logged[0]:
            hardness = [row["hardness_synthetic"] for row in rows_logged]
            plots[1].plot(steps, hardness, color=COLORS[regime], label=regime)
    _label(plots[0], "contrastive loss of real views", "step")
    _label(plots[1], "contrastive loss of synthetic views (hardness)", "step")
    _bars(plots[2], rows)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, buffer.getvalue())


def _real(config: DemoConfig) -> Tensor:
    store = open_images(config.data, image_size=config.image_size, split="train")
    return to_float(store.read(range(min(NUM_IMAGES, len(store)))))


def _samples(generator: Path, config: DemoConfig) -> Tensor:
    model = open_generator(str(generator))
    draws = sample_key(config.seed).at(torch.arange(NUM_IMAGES))
    with torch.no_grad():
        return model(model.sample_latents(NUM_IMAGES, draws=draws)) * 0.5 + 0.5


def _show(axes: Axes, images: Tensor, title: str) -> None:
    grid = make_grid(images.clamp(0, 1).cpu(), nrow=8, padding=1, pad_value=1.0)
    axes.imshow(grid.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def _label(axes: Axes, title: str, x: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _bars(axes: Axes, rows: list[dict[str, Any]]) -> None:
    names = [row["regime"] for row in rows]
    values = [100 * row["linear"] for row in rows]
    bars = axes.bar(names, values, color=[COLORS[name] for name in names])
    axes.bar_label(bars, fmt="%.1f", fontsize=9)
    axes.set_title("linear probe, top-1 % on held-out images", fontsize=10)
    axes.set_ylim(max(0, min(values) - 15), 100)
    axes.spines[["top", "right"]].set_visible(False)
