"""Tables and a plot of the results of compare.py.

    python benchmarks/gan/table.py DIR/results.jsonl [--plot FILE.png]

Markdown goes to stdout: each arm and time with the mean and the standard deviation over seeds, and how the distance
differs from that of ours, paired by seed, as a difference and as a ratio, with Student's 95% interval from three seeds
on. The verdicts are those of the protocol, benchmarks/gan/README.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from results import read

from synthcl.pipeline.comparison.statistics import Difference, paired_difference, spread, with_holm

OURS = "ours"
TOLERANCE = 0.9
"""The ratio to ours that "at least as good" must be shown to be above. Ours, chosen before any run."""

Rows = dict[int, dict[str, Any]]
"""The results of an arm at a time, by seed."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the results.jsonl of compare.py")
    parser.add_argument("--baseline", metavar="ARM", help="what to compare with (default: the first arm that is ours)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the distance against time, as PNG or SVG")
    options = parser.parse_args()
    rows = read(options.results)
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    baseline = options.baseline or next((row["arm"] for row in rows if row["recipe"] == OURS), OURS)
    if baseline not in arms:
        print(f"Error: no results of {baseline} in {options.results}: give another --baseline", file=sys.stderr)
        return 1
    for unit in dict.fromkeys(row["unit"] for row in rows):
        print(report([row for row in rows if row["unit"] == unit], arms, baseline))
    if options.plot:
        draw(rows, arms).savefig(options.plot)
    return 0


def report(rows: list[dict[str, Any]], arms: Sequence[str], baseline: str) -> str:
    """The tables of one unit of time, and the verdicts at the last time."""
    points = by_point(rows)
    unit = rows[0]["unit"].replace("_", " ").replace("cpu", "CPU")
    last = max(at for at, _ in points)
    heading = f"At {last:g} {unit}, by the ratio of distances to {baseline}:"
    parts = [networks(rows, arms), measurements(points, arms, baseline, unit), heading]
    return "\n\n".join([*parts, verdicts(points, last, arms, baseline)]) + "\n"


def by_point(rows: list[dict[str, Any]]) -> dict[tuple[float, str], Rows]:
    """Rows by time and arm, then by seed; of two with the same seed, the later one."""
    points: dict[tuple[float, str], Rows] = defaultdict(dict)
    for row in rows:
        points[row["at"], row["arm"]][row["seed"]] = row
    return points


def networks(rows: list[dict[str, Any]], arms: Sequence[str]) -> str:
    """What an arm's networks are and how quick they train."""
    lines = []
    for arm in arms:
        if own := [row for row in rows if row["arm"] == arm]:
            rates = [row["images"] / row["cpu_seconds"] for row in own]
            loads = [row["wall_seconds"] / row["cpu_seconds"] for row in own]
            sizes = [f"{own[0][f'parameters_{name}']:,}" for name in ("generator", "discriminator")]
            lines.append([arm, *sizes, mean_deviation(rates, 0), mean_deviation(loads, 2)])
    return markdown(["arm", "weights of G", "of D", "images a CPU second", "clock over CPU seconds"], lines)


def measurements(points: dict[tuple[float, str], Rows], arms: Sequence[str], baseline: str, unit: str) -> str:
    """A line for each time and arm."""
    lines = []
    for at in sorted({at for at, _ in points}):
        for arm in (arm for arm in arms if (at, arm) in points):
            own, other = points[at, arm], points.get((at, baseline), {})
            distances, failed = values(own, "frechet_distance"), diverged(own)
            differences = ["-", "-"]
            if arm != baseline:
                differences = [interval(difference(arm, own, other, log), log) for log in (False, True)]
            lines.append(
                [
                    f"{at:g}",
                    arm,
                    f"{len(distances)}" + (f" ({failed} diverged)" if failed else ""),
                    mean_deviation([row["images"] for row in own.values()], 0),
                    mean_deviation(distances.values(), 2),
                    *differences,
                    *(mean_deviation(values(own, name).values(), 3) for name in ("precision", "recall", "margin")),
                    mean_deviation(values(own, "checkerboard").values(), 1),
                ]
            )
    compared = [f"less {baseline}, 95% interval", f"over {baseline}, 95% interval"]
    head = [
        unit,
        "arm",
        "n",
        "images",
        "Fréchet distance",
        *compared,
        "precision",
        "recall",
        "margin of D",
        "checkerboard",
    ]
    return markdown(head, lines)


def verdicts(points: dict[tuple[float, str], Rows], at: float, arms: Sequence[str], baseline: str) -> str:
    """What the protocol concludes for each other arm at a time."""
    other = points.get((at, baseline), {})
    others = [arm for arm in arms if arm != baseline and (at, arm) in points]
    ratios = [difference(arm, points[at, arm], other, True) for arm in others]
    found = {ratio.arm: ratio for ratio in with_holm([ratio for ratio in ratios if ratio is not None])}
    said = {arm: verdict(found.get(arm), baseline) for arm in others}
    for arm in others:
        if failed := sum(map(diverged, (other, points[at, arm]))):
            said[arm] = f"no verdict, as {failed} of the trainings diverged"
    return "\n".join(f"- {arm}: {text}" for arm, text in said.items())


def verdict(ratio: Difference | None, baseline: str) -> str:
    """A difference in words; `ratio`: it is one of logarithms."""
    if ratio is None or ratio.spread.interval is None:
        return "too few seeds to tell"
    low, high = map(math.exp, ratio.spread.interval)
    if ratio.outcome == "better":  # a larger distance than the baseline's
        return f"{baseline} is better"
    if low > TOLERANCE:
        return f"{baseline} is at least as good, within {1 - TOLERANCE:.0%}"
    if high < 1:
        return f"{baseline} is worse"
    return "unsettled"


def difference(arm: str, own: Rows, other: Rows, log: bool) -> Difference | None:
    """The difference of distances, or of their logarithms, paired by seed; None without a common seed."""
    scale = math.log if log else float
    sides = [{s: scale(v) for s, v in values(rows, "frechet_distance").items()} for rows in (own, other)]
    return paired_difference(arm, OURS, *sides)


def values(rows: Rows, name: str) -> dict[int, float]:
    """By seed, where there is one; rows of earlier versions lack what was not measured then."""
    return {seed: row[name] for seed, row in rows.items() if row.get(name) is not None}


def diverged(rows: Rows) -> int:
    """How many trainings have no distance."""
    return len(rows) - len(values(rows, "frechet_distance"))


def interval(found: Difference | None, log: bool) -> str:
    """The mean and its interval; of logarithms as ratios."""
    if found is None:
        return "-"
    scale, sign = (math.exp, "") if log else (float, "+")
    text = f"{scale(found.spread.mean):{sign}.2f}"
    if found.spread.interval is None:
        return text
    low, high = map(scale, found.spread.interval)
    return f"{text} ({low:{sign}.2f} to {high:{sign}.2f})"


def mean_deviation(numbers: Collection[float], digits: int) -> str:
    if not numbers:
        return "-"
    found = spread(list(numbers))
    deviation = "" if found.deviation is None else f" ± {found.deviation:,.{digits}f}"
    return f"{found.mean:,.{digits}f}{deviation}"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines))


def draw(rows: list[dict[str, Any]], arms: Sequence[str]) -> Figure:
    """Distance against time: a point for each training, a line through the means of each arm."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    unit = rows[0]["unit"]
    points = by_point([row for row in rows if row["unit"] == unit])
    for number, arm in enumerate(arms):
        own = {at: values(found, "frechet_distance").values() for (at, name), found in points.items() if name == arm}
        own = {at: found for at, found in sorted(own.items()) if found}
        axes.plot(list(own), [sum(found) / len(found) for found in own.values()], color=f"C{number}", label=arm)
        for at, found in own.items():
            axes.plot([at] * len(found), list(found), ".", color=f"C{number}")
    axes.set(xlabel=unit.replace("_", " ").replace("cpu", "CPU"), ylabel="Fréchet distance", yscale="log")
    axes.legend()
    return figure


if __name__ == "__main__":
    sys.exit(main())
