"""Embeddings in the plane, as a picture.

Shapes: N images, F features.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pyarrow as pa

from ..data.store import spread

MAX_POINTS = 5000
"""More are thinned out evenly over the table: t-SNE takes half a minute for so many, and more only hide each other.
Ours."""
PCA_DIMENSIONS = 50
"""What features are brought to before t-SNE (van der Maaten and Hinton 2008, section 4.2: 30; scikit-learn's advice:
50)."""
MANY_COLOURS = 20
"""From more groups than this on there is no legend, and colours only follow one another."""


def draw_embedding(table: pa.Table, method: str, color_by: str, seed: int) -> bytes:
    """A PNG of the rows of a table of `embed`.

    Args:
        table: N rows; its metadata name the run.
        method: `tsne`, `pca` or `umap`.
        color_by: `class` or `source`.
        seed: of t-SNE and UMAP.
    """
    rows = table.take(pa.array(spread(len(table), MAX_POINTS)))
    features = rows["embedding"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
    features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)  # as cosines see them
    points = project(features, method, seed)
    run = (table.schema.metadata or {}).get(b"run", b"").decode()
    counted = f"{len(table):,}" if len(rows) == len(table) else f"{len(rows):,} of {len(table):,}"
    title = f"{_short(run)}{': ' if run else ''}{_NAMES[method]} of {counted} images by {color_by}"
    return _picture(points, _groups(rows, color_by), title, describe_settings(features.shape, method, seed))


_NAMES = {"tsne": "t-SNE", "pca": "principal components", "umap": "UMAP"}
NEIGHBOURS = 15
"""Neighbours that UMAP looks at, if there are so many images: its own default."""


def describe_settings(shape: tuple[int, ...], method: str, seed: int) -> str:
    """What `project` does to features of a shape (N, F), in words."""
    num_rows, num_features = shape
    words = [f"features ({num_features}) at length 1"]
    if method == "umap":
        words += [f"{min(NEIGHBOURS, num_rows - 1)} neighbours", f"seed {seed}"]
    if method == "tsne":
        words += [f"to {PCA_DIMENSIONS} principal components"] if min(num_rows, num_features) > PCA_DIMENSIONS else []
        words += [f"perplexity {_perplexity(num_rows):.3g}", f"seed {seed}"]
    return ", ".join(words)


def _perplexity(num_rows: int) -> float:
    return min(30.0, (num_rows - 1) / 3)


def project(features: np.ndarray, method: str, seed: int) -> np.ndarray:
    """(N, F) to (N, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    num_rows, num_features = features.shape
    seed = seed % 2**32
    if num_rows < 2:
        return np.zeros((num_rows, 2))
    if num_rows < 4:  # too few to have neighbours
        method = "pca"
    if method == "pca":
        points = PCA(min(2, num_rows, num_features), random_state=seed).fit_transform(features)
        return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    if method == "umap":
        import umap

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a seed means one thread
            return umap.UMAP(n_neighbors=min(NEIGHBOURS, num_rows - 1), random_state=seed).fit_transform(features)
    if min(num_rows, num_features) > PCA_DIMENSIONS:
        features = PCA(PCA_DIMENSIONS, random_state=seed).fit_transform(features)
    return TSNE(init="pca", perplexity=_perplexity(num_rows), random_state=seed).fit_transform(features)


def _groups(rows: pa.Table, color_by: str) -> list[str]:
    """What each row belongs to, as a word."""
    if color_by == "source":
        return rows["source"].to_pylist()
    both = zip(rows["class"].to_pylist(), rows["label"].to_pylist(), strict=True)
    return [name if name is not None else "no label" if label is None else str(label) for name, label in both]


def _picture(points: np.ndarray, groups: list[str], title: str, settings: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    names = sorted(set(groups), key=lambda name: (name == "no label", len(name) if name.isdigit() else 0, name))
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    axes: Any = figure.add_subplot()
    palette = "tab10" if len(names) <= 10 else "tab20" if len(names) <= MANY_COLOURS else "turbo"
    colours = matplotlib.colormaps[palette].resampled(max(len(names), 2)) if palette == "turbo" else None
    belongs = np.array(groups)
    for number, name in enumerate(names):
        colour: Any = colours(number) if colours is not None else matplotlib.colormaps[palette](number)
        colour = "0.7" if name == "no label" else colour
        part = points[belongs == name]
        axes.scatter(part[:, 0], part[:, 1], s=6, color=colour, label=_short(name), linewidths=0, alpha=0.8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    axes.set_title(settings, loc="left", fontsize=8, color="0.35", parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if len(names) <= MANY_COLOURS:
        figure.legend(loc="outside right upper", frameon=False, markerscale=3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _short(name: str) -> str:
    """The end of a long path, which tells it from others."""
    return name if len(name) <= 40 else "..." + name[-37:]
