"""The study in one table and one picture, from the rows beside this script.

    python benchmarks/online/summary.py [--picture FILE.png]

Markdown goes to stdout: the table of the first page of the repository, and that of README.md here. A test holds both
pages to it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from synthcl.pipeline.comparison.looks import looks
from synthcl.pipeline.comparison.statistics import Spread, paired_difference, spread

HERE = Path(__file__).parent
SEEDS = range(6)
"""Those that claim, by the protocol."""
LEAST = 3
"""From so many on a setting, a mean and a difference are shown."""
REGIMES = ("real", "real-equal-views", "fresh", "online")
COMPARED = (("online", "real"), ("online", "real-equal-views"), ("online", "fresh"), ("fresh", "real-equal-views"))
SHORT, LONG = "1,170 steps", "11,700 steps"
SAME, ALL = "the same images", "all 50,000"


class Setting(NamedTuple):
    """A row.

    Attributes:
        name: of study.py, or what it is called here.
        page: what the name links to.
        images, length, seen: the real images, the training's length, and what the generator has seen; "" if the row is
            not on the first page.
        arms: for each of `REGIMES` that is shown the setting and arm of its rows; real images alone are of the setting
            without a generator where there is one.
        named: the differences that were named beforehand, which are bold.
        all_labels: the probe has the labels of all 50,000 images (curves.jsonl), where those of the training's images
            would be few; else it has those of the training's images (results.jsonl).
    """

    name: str
    page: str
    images: str
    length: str
    seen: str
    arms: Mapping[str, tuple[str, str]]
    named: Sequence[tuple[str, str]]
    all_labels: bool = False


def arms(setting: str, online: str, *, real: str | None = None) -> dict[str, tuple[str, str]]:
    """`Setting.arms`; `real` is the setting of the rows of real images alone."""
    alone = real or setting
    return {
        "real": (alone, "real"),
        "real-equal-views": (alone, "real-4-views"),
        "fresh": (setting, "fresh"),
        "online": (setting, online),
    }


SETTINGS = (
    Setting(
        *("`full`", "at-1170-steps.md#full-six-seeds", "50,000", SHORT, SAME),
        arms("full", "online"),
        [("online", "real")],
    ),
    Setting(
        *("`full`, twice the views", "at-1170-steps.md#full-four-views-of-each-image-six-seeds", "", SHORT, SAME),
        {
            "real-equal-views": ("full", "real-8-views"),
            "fresh": ("full", "fresh-4-views"),
            "online": ("full", "online-4-views"),
        },
        [("online", "real-equal-views")],
    ),
    Setting(
        *("`tenth`", "at-1170-steps.md#tenth-six-seeds", "5,000", SHORT, SAME),
        arms("tenth", "online"),
        [("online", "real")],
    ),
    Setting(
        *("`tenth-wide-generator`", "at-1170-steps.md#tenth-wide-generator-six-seeds", "", SHORT, ALL),
        arms("tenth-wide-generator", "online", real="tenth"),
        [("online", "real-equal-views")],
    ),
    Setting(
        *("`tenth-wide-plain`", "at-1170-steps.md#tenth-wide-plain-six-seeds", "5,000", SHORT, ALL),
        arms("tenth-wide-plain", "online-clip-.5", real="tenth"),
        [("online", "real-equal-views")],
    ),
    Setting(
        *("`full-ten-times`", "at-11700-steps.md#full-ten-times-all-images-six-seeds", "50,000", LONG, SAME),
        arms("full-ten-times", "online-clip-.5"),
        [("online", "real"), ("online", "real-equal-views")],
    ),
    Setting(
        *("`tenth-plain-ten-times`", "at-11700-steps.md#tenth-plain-ten-times-a-tenth-at-length", "5,000", LONG, SAME),
        arms("tenth-plain-ten-times", "online-clip-.5"),
        [("online", "real"), ("online", "real-equal-views")],
        all_labels=True,
    ),
    Setting(
        *(
            "`hundredth-ten-times`, D not augmented",
            "at-11700-steps.md#hundredth-ten-times-where-images-are-short",
            "",
            LONG,
            ALL,
        ),
        arms("hundredth-ten-times", "online-clip-.5"),
        [("online", "real-equal-views")],
        all_labels=True,
    ),
    Setting(
        *(
            "the same, D augmented, the default there now",
            "at-11700-steps.md#hundredth-ten-times-where-images-are-short",
            "500",
            LONG,
            ALL,
        ),
        arms("hundredth-ten-times", "online-augmented"),
        [("online", "real-equal-views"), ("online", "fresh")],
        all_labels=True,
    ),
)

Scores = dict[str, dict[int, float]]
"""Linear top-1 in percent, by regime and seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the differences, as PNG or SVG")
    options = parser.parse_args()
    found = scores()
    print("\n".join([*first_page(found), "", *own_page(found)]))
    if options.picture:
        draw(found).savefig(options.picture, dpi=160)


def scores() -> list[tuple[Setting, Scores]]:
    """What the rows say of each setting that has enough of them."""
    by_arm: dict[bool, dict[tuple[str, str], dict[int, float]]] = {False: defaultdict(dict), True: defaultdict(dict)}
    for row in _rows("results.jsonl"):
        by_arm[False][row["setting"], row["arm"]][row["seed"]] = row["linear"]
    for row in _rows("curves.jsonl"):
        if (row["set"], row["fraction"]) == ("", 1.0):
            by_arm[True][row["setting"], row["arm"]][row["seed"]] = row["linear"]
    found = []
    for setting in SETTINGS:
        rows = by_arm[setting.all_labels]
        own = {
            regime: {seed: rows[arm][seed] for seed in SEEDS if seed in rows[arm]}
            for regime, arm in setting.arms.items()
        }
        if len(own["online"]) >= LEAST:
            found.append((setting, own))
    return found


def _rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def first_page(found: Sequence[tuple[Setting, Scores]]) -> list[str]:
    """Means of the regimes, and by how much `online` is ahead."""
    lines = [
        "| real images, length | the generator has seen | `real` | `real-equal-views` | `fresh` | `online` "
        "| `online` less `real` | less `real-equal-views` | less `fresh` |",
        "|---" * 9 + "|",
    ]
    for setting, own in found:
        if setting.images:
            means = [_mean(list(own[regime].values())) for regime in REGIMES]
            cells = [_cell(setting, own, pair, "**{:+.1f}** ({:+.1f} to {:+.1f})") for pair in COMPARED[:3]]
            lines.append(f"| {setting.images}, {setting.length} | {setting.seen} | {' | '.join([*means, *cells])} |")
    return lines


def own_page(found: Sequence[tuple[Setting, Scores]]) -> list[str]:
    """Differences to a hundredth, with a link to each setting."""
    lines = [
        "| where | n | `online` less `real` | `online` less as many views | `online` less `fresh` "
        "| `fresh` less as many views |",
        "|---" * 6 + "|",
    ]
    for setting, own in found:
        cells = [_cell(setting, own, pair, "**{:+.2f}, {:+.2f} to {:+.2f}**") for pair in COMPARED]
        lines.append(f"| [{setting.name}]({setting.page}) | {len(own['online'])} | {' | '.join(cells)} |")
    return lines


def _mean(values: Sequence[float]) -> str:
    return f"{spread(values).mean:.1f}" if len(values) >= LEAST else ""


def _cell(setting: Setting, own: Scores, pair: tuple[str, str], form: str) -> str:
    """A difference; fewer seeds than `online` has are said, and what was not named is not bold."""
    between = difference(own, pair)
    if between is None or between.interval is None:
        return ""
    text = form.format(between.mean, *between.interval)
    if pair not in setting.named:
        text = text.replace("**", "")
    return text + (f" (n = {between.n})" if between.n < len(own["online"]) else "")


def difference(own: Scores, pair: tuple[str, str]) -> Spread | None:
    """Of two regimes, paired by seed, in points; None where they share too few."""
    found = paired_difference(*pair, *(own.get(regime, {}) for regime in pair))
    return found.spread if found is not None and found.spread.n >= LEAST else None


def draw(found: Sequence[tuple[Setting, Scores]]) -> Figure:
    """A panel for each thing that `online` is compared with, a row for each setting of the first page."""
    found = [(setting, own) for setting, own in found if setting.images]
    figure = Figure(figsize=(10, 0.42 * len(found) + 1.35), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True, sharex=True)
    colour = looks([])["online"].color
    for axes, pair in zip(panels, COMPARED[:3], strict=True):
        axes.axvline(0, color="#333333", linewidth=1)
        for row, (setting, own) in enumerate(found):
            between = difference(own, pair)
            if between is None or between.interval is None:
                continue
            one, other = (own[regime] for regime in pair)
            points = [one[seed] - other[seed] for seed in one if seed in other]
            axes.plot(
                points, [row - 0.22] * len(points), "o", color=colour, alpha=0.45, markersize=4, markeredgewidth=0
            )
            axes.plot(between.interval, [row, row], color=colour, linewidth=2)
            face = colour if pair in setting.named else "white"
            axes.plot(between.mean, row, "D", markersize=7, color=colour, markerfacecolor=face)
        axes.set_title(" less ".join(pair), fontsize=10)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=9)
        axes.spines[["top", "right", "left"]].set_visible(False)
    panels[0].set_yticks(
        range(len(found)), [f"{s.images} images, {s.length};\ngenerator of {s.seen}" for s, _ in found]
    )
    panels[0].set_ylim(len(found) - 0.5, -0.6)
    figure.supxlabel(
        "points of linear top-1 accuracy: seeds, mean and 95% interval; a filled mark was named beforehand", fontsize=9
    )
    return figure


if __name__ == "__main__":
    main()
