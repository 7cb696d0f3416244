"""A table of the study: each arm's accuracies, and its differences from others, paired over seeds.

python benchmarks/online/table.py results.jsonl --setting full --primary online-real
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from synthcl.pipeline.comparison.statistics import Difference, paired_difference, spread, with_holm

MEASURES = ("linear", "knn")
WATCHED = ("pair_similarity", "view_similarity_synthetic", "hardness_synthetic", "margin", "colour_spread")

Scores = dict[str, dict[int, float]]
"""By arm, then by seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="results.jsonl of study.py")
    parser.add_argument("--setting", default="full")
    parser.add_argument("--against", default="real,fresh", help="arms that the others are compared with")
    parser.add_argument("--primary", default="online-real", help="the comparison named beforehand")
    options = parser.parse_args()
    rows = [json.loads(line) for line in Path(options.results).read_text().splitlines()]
    rows = [row for row in rows if row["setting"] == options.setting]
    print(render(rows, options.against.split(","), tuple(options.primary.rsplit("-", 1))))


def render(rows: list[dict], against: list[str], primary: tuple[str, str]) -> str:
    """Both tables, in Markdown."""
    lines = ["| arm | n | linear top-1 % | kNN top-1 % | seconds | " + " | ".join(WATCHED) + " |"]
    lines.append("|---" * (5 + len(WATCHED)) + "|")
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm]
        watched = [_mean([row[name] for row in own if name in row]) for name in WATCHED]
        accuracies = [_spread([row[measure] for row in own]) for measure in MEASURES]
        lines.append(
            f"| {arm} | {len(own)} | {' | '.join([*accuracies, _mean([r['seconds'] for r in own]), *watched])} |"
        )
    for measure in MEASURES:
        scores: Scores = defaultdict(dict)
        for row in rows:
            scores[row["arm"]][row["seed"]] = row[measure]
        lines += ["", f"| difference, {measure} | n | points | 95% interval | p | p, Holm |", "|---" * 6 + "|"]
        lines += [_line(d) for d in differences(scores, against, primary)]
    return "\n".join(lines)


def differences(scores: Scores, against: list[str], primary: tuple[str, str]) -> list[Difference]:
    """Each arm less each of `against`, corrected together but for the one that was named beforehand."""
    pairs = [(arm, other) for other in against if other in scores for arm in scores if arm != other]
    pairs = [pair for pair in pairs if pair[0] not in against or against.index(pair[0]) > against.index(pair[1])]
    found = [paired_difference(arm, other, scores[arm], scores[other]) for arm, other in pairs]
    return with_holm([difference for difference in found if difference is not None], primary)


def _line(difference: Difference) -> str:
    between = difference.spread
    interval = "none" if between.interval is None else f"{between.interval[0]:+.2f} to {between.interval[1]:+.2f}"
    p_value = "–" if difference.p_value is None else f"{difference.p_value:.2g}"
    corrected = "named beforehand" if difference.primary else "–"
    if difference.p_holm is not None and not difference.primary:
        corrected = f"{difference.p_holm:.2g}"
    name = f"{difference.arm} less {difference.reference}"
    return f"| {name} | {between.n} | {between.mean:+.2f} | {interval} | {p_value} | {corrected} |"


def _spread(values: list[float]) -> str:
    between = spread(values)
    return f"{between.mean:.2f}" + (f" ± {between.deviation:.2f}" if between.deviation is not None else "")


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3g}" if values else ""


if __name__ == "__main__":
    main()
