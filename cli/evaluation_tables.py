"""Results of evaluations as tables for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..pipeline.data.catalogue import MEAN_PER_CLASS, TOP1
from .command import print_result

METRICS = {TOP1: "top-1 %", MEAN_PER_CLASS: "per class %"}
"""What the measures of a classifier are called in a table."""
MEASURES = {
    "precision": ("precision", "↑", "part of the generated images that lie among the real ones; 0 to 1"),
    "recall": ("recall", "↑", "part of the real images that lie among the generated ones; 0 to 1"),
    "density": ("density", "↑", "how densely real images lie around the generated ones; 1 is expected of real images"),
    "coverage": ("coverage", "↑", "part of the real images with a generated one near by; 0 to 1"),
    "frechet_distance": ("Fréchet distance", "↓", "of generated from real images"),
    "frechet_distance_as_many": (
        "  of fewer images", "↓", "of as many generated images as are held out, to compare the next line with: the "
        "distance falls as sets grow"
    ),
    "frechet_distance_held_out": (
        "  of held-out images", "", "of as many real images that were held out: what a perfect generator comes to"
    ),
    "authenticity": ("authenticity", "↑", "part of the generated images that do not copy a training image; 0 to 1"),
    "nearer_to_train": (
        "nearer to train", "→ 0.5", "part of the generated images that are nearer to training than to held-out images; "
        "well above 0.5: copies"
    ),
    "nearer_than_held_out": (
        "nearer than held-out", "→ 0.5", "how often a generated image is nearer to the training images than a held-out "
        "one is; well above 0.5: copies"
    ),
    "train_distance": ("distance to train", "", "median, of generated images to the nearest training image"),
    "held_out_distance": ("  of held-out images", "", "the same of held-out images: about what to expect"),
    "checkerboard": (
        "checkerboard", "", "its amplitude in generated images, in levels of 255, which the distance hardly sees"
    ),
    "checkerboard_real": ("  of real images", "", "the same of real images: about what to expect"),
    "alignment": ("alignment", "↓", "mean squared distance between two views of an image; 0 is perfect"),
    "uniformity": ("uniformity", "↓", "how unevenly images are spread over the sphere; 0 if all are alike"),
}  # fmt: skip
"""What each measure is called, which way is better, and what it is; in the order of the table."""
MANY_CLASSES = 12
"""If there are more classes than this, only the worst and the best are shown."""


def print_evaluation(result: dict[str, Any], as_json: bool) -> None:
    """A result on stdout: one JSON object, or the tables and lines of its task (see `TABLES`)."""
    if as_json:
        print_result(result, as_json, result["task"])
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for part in TABLES[result["task"]](result):
        console.print(Text(part) if isinstance(part, str) else part)


def _probe(result: dict[str, Any]) -> list[Any]:
    """Of a classifier: a row for each thing to know."""
    table = _table(f"{result['task']} of {result['run']}", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    low, high = result["top1_interval"]
    table.add_row("top-1 %", f"[bold]{_percent(result['top1'])}[/bold]  ({_percent(low)} to {_percent(high)})")
    table.add_row("top-5 %", _percent(result["top5"]))
    table.add_row("mean per class %", _percent(result["mean_per_class"]))
    for row in result.get("low_shot", ()):
        table.add_row(f"{row['shots']} a class, top-1 %", _of_draws(row))
    table.add_row("by class", _classes(result))
    table.add_row("fitted on", f"{result['num_train']:,} of {result['data']}")
    table.add_row("scored on", f"{result['num_test']:,} of {result['test_data']}")
    settings = [f"{name} {result[name]:g}" for name in ("l2", "k", "temperature", "epochs") if result.get(name)]
    table.add_row("settings", ", ".join(_settings_that_matter(result, settings)))
    for warning in result["warnings"]:
        table.add_row("warning", warning)
    return [table]


def _transfer(result: dict[str, Any]) -> list[Any]:
    """A row for each image set, and what to know of them."""
    table = _table(f"{result['task']} of {result['run']}")
    table.add_column("fitted on", overflow="fold")
    table.add_column("scored on", overflow="fold")
    table.add_column("measure", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right")
    for row in result["results"]:
        low, high = row["top1_interval"]
        scored = row["test_data"] + (" (not held out!)" if row["scored_on_training_split"] else "")
        interval = f"{_percent(low)} to {_percent(high)}" if row["metric"] == TOP1 else ""
        table.add_row(row["data"], scored, METRICS[row["metric"]], _percent(row["score"]), interval)
    table.add_row("mean", "", "", _percent(result["score"]), "")
    return [table, *result["notes"]]


def _robustness(result: dict[str, Any]) -> list[Any]:
    """Accuracies on corrupted images, with a column for each severity."""
    table = _table(f"robustness of {result['run']}, top-1 %")
    severities = sorted({row["severity"] for row in result["corrupted"]})
    table.add_column("corruption", no_wrap=True)
    for title in (*map(str, severities), "mean"):
        table.add_column(title, justify="right", no_wrap=True)
    rows: dict[str, list[float]] = {}
    for row in result["corrupted"]:
        rows.setdefault(row["corruption"], []).append(row["top1"])
    table.add_row("none", *[""] * len(severities), _percent(result["top1"]))
    for name, values in rows.items():
        table.add_row(name, *map(_percent, values), _percent(sum(values) / len(values)))
    table.add_row("mean", *[""] * len(severities), f"[bold]{_percent(result['corrupted_top1'])}[/bold]")
    fitted = f"fitted on {result['num_train']:,} of {result['data']}, "
    scored = f"scored on {result['num_test']:,} of {result['test_data']}"
    return [table, fitted + scored, *_warnings(result)]


def _measures(result: dict[str, Any]) -> list[Any]:
    """Measures without a classifier, and what they mean."""
    table = _table(f"{result['task']} of {result.get('source', result.get('run'))}")
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("better", justify="center", no_wrap=True)
    table.add_column("what it is")
    for name, (title, better, meaning) in MEASURES.items():
        if result.get(name) is not None:
            table.add_row(title, f"{result[name]:.4g}", better, meaning)
    by_class = [_measures_by_class(result["by_class"])] if result.get("by_class") else []
    return [table, *by_class, _counts(result), *_warnings(result)]


TABLES: dict[str, Callable[[dict[str, Any]], list[Any]]] = {
    "linear": _probe,
    "knn": _probe,
    "finetune": _probe,
    "transfer": _transfer,
    "robustness": _robustness,
    "quality": _measures,
    "alignment": _measures,
}
"""What people see of the result of each evaluation: tables, and lines of text."""


def _measures_by_class(rows: list[dict[str, Any]]) -> Any:
    """A row for each class; those of too few images have no numbers."""
    table = _table("by class", box=None, padding=(0, 2, 0, 0))  # so that it fits 80 columns
    names = [name for name in MEASURES if name in rows[0]]
    for title in ("class", "real", "made", *(f"{MEASURES[name][0]} {MEASURES[name][1]}" for name in names)):
        table.add_column(title, justify="right")
    for row in rows:
        values = ["-" if row[name] is None else f"{row[name]:.4g}" for name in names]
        table.add_row(str(row["class"]), f"{row['num_real']:,}", f"{row['num_generated']:,}", *values)
    return table


def _counts(result: dict[str, Any]) -> str:
    """What was measured, on how many images."""
    counts = [n for n in ("generated", "real", "held_out", "images") if f"num_{n}" in result]
    parts = [f"{name.replace('_', '-')}: {result[f'num_{name}']:,}" for name in counts]
    parts += [f"{name}: {result[name]}" for name in ("data", "encoder", "views") if name in result]
    return ", ".join(parts)


def _warnings(result: dict[str, Any]) -> list[str]:
    return [f"warning: {warning}" for warning in result["warnings"]]


def _of_draws(row: dict[str, Any]) -> str:
    """The mean over draws of few labels, and its interval."""
    if row["top1_interval"] is None:
        return f"{_percent(row['top1'])}  (no interval: each draw is all the images)"
    low, high = row["top1_interval"]
    return f"{_percent(row['top1'])}  ({_percent(low)} to {_percent(high)} over {row['draws']} draws)"


def _settings_that_matter(result: dict[str, Any], settings: list[str]) -> list[str]:
    if result["task"] == "linear" and result["probe"] == "lbfgs":
        settings = [setting for setting in settings if not setting.startswith("epochs")]
    if result["task"] == "finetune":
        settings.insert(0, f"preset {result['preset']}")
    if result["untrained"]:
        settings.append("untrained weights")
    return settings


def _classes(result: dict[str, Any]) -> str:
    """The classes with their accuracies, worst first."""
    scored = zip(result["per_class"], result["classes"], strict=True)
    known = sorted((accuracy, name) for accuracy, name in scored if accuracy is not None)
    parts = [f"{name} {100 * accuracy:.1f}" for accuracy, name in known]
    if len(parts) > MANY_CLASSES:
        parts = [*parts[: MANY_CLASSES // 2], "...", *parts[-MANY_CLASSES // 2 :]]
    return ", ".join(parts)


def _table(title: str, **options: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    return Table(title=Text(title), title_justify="left", **options)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
