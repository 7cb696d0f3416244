"""Label-fraction and transfer curves of the study's runs: linear probes of encoders that are there, a result a line.

    python benchmarks/online/curves.py --data cifar10:train --test-data cifar10:test --out OUT --setting full
    python benchmarks/online/curves.py ... --transfer tiny-imagenet=PATH:train=PATH:val --arms real,fresh,online
    python benchmarks/online/curves.py --out OUT --setting full --table [--baseline real-4-views]

What stands in OUT/curves.jsonl is not done again. The labelled part is drawn by the run's seed, so that the arms of a
seed are probed on the same labels.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from study import append

from synthcl.pipeline import evaluate
from synthcl.pipeline.comparison.statistics import matching_fraction, paired_difference, spread

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""The parts of the labels of each class. Ours."""
Curves = dict[int, dict[float, float]]
"""The accuracies of an arm by seed and by part of the labels."""


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    out = Path(options.out)
    if options.table:
        rows = [json.loads(line) for line in (out / "curves.jsonl").read_text().splitlines()]
        print(render([row for row in rows if row["setting"] == options.setting], options.baseline))
        return
    sets = {"": (options.data, options.test_data)} if options.data else {}
    for one in options.transfer:
        name, train, test = one.split("=")
        sets[name] = (train, test)
    for run in sorted((out / "runs" / options.setting).iterdir()):
        arm = run.name.rpartition("-seed-")[0]
        if (run / "result.json").exists() and (options.arms is None or arm in options.arms.split(",")):
            probe(out, options.setting, run, sets)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="SPEC of the training images and their labels")
    parser.add_argument("--test-data", help="SPEC of the images to score on")
    parser.add_argument("--transfer", action="append", default=[], metavar="NAME=TRAIN=TEST", help="another set")
    parser.add_argument("--out", required=True, help="folder of study.py")
    parser.add_argument("--setting", default="full")
    parser.add_argument("--arms", help="of these alone, with commas between them; of all that are there if not given")
    parser.add_argument("--table", action="store_true", help="print what there is, in Markdown")
    parser.add_argument("--baseline", default="real", help="the arm that the table's differences are from")
    options = parser.parse_args()
    if bool(options.data) != bool(options.test_data) or not (options.table or options.data or options.transfer):
        parser.error("probing needs --data with --test-data, or --transfer; --table prints what there is")
    return options


def probe(out: Path, setting: str, run: Path, sets: dict[str, tuple[str, str]]) -> None:
    """All the probes of a run that are not done yet."""
    arm, _, seed = run.name.rpartition("-seed-")
    file = out / "curves.jsonl"
    for name, (train, test) in sets.items():
        for fraction in FRACTIONS:
            key = {"setting": setting, "arm": arm, "seed": int(seed), "set": name, "fraction": fraction}
            rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
            if any(row.items() >= key.items() for row in rows):
                continue
            # The set of the training at all of its labels is what the study itself has.
            result = evaluate(run, train, task="linear", test_data=test, label_fraction=fraction, seed=int(seed))
            append(file, {**key, "linear": round(100 * result["top1"], 2)})


def render(rows: list[dict[str, Any]], baseline: str) -> str:
    """A table a set: arms by fractions, and the part of the labels at which an arm equals the baseline with all."""
    lines: list[str] = []
    for name in dict.fromkeys(row["set"] for row in rows):
        curves: dict[str, dict[int, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
        for row in rows:
            if row["set"] == name:
                curves[row["arm"]][row["seed"]][row["fraction"]] = row["linear"]
        lines += [
            f"**{name or 'The images of the training'}**: linear top-1 %, and its difference from `{baseline}`",
            "",
        ]
        lines.append("| arm | n | " + " | ".join(f"{fraction:.0%}" for fraction in FRACTIONS) + " | equals it at |")
        lines.append("|---" * (len(FRACTIONS) + 3) + "|")
        lines += [_line(arm, by_seed, baseline, curves.get(baseline, {})) for arm, by_seed in curves.items()]
        lines.append("")
    return "\n".join(lines).rstrip()


def _line(arm: str, by_seed: Curves, baseline: str, its: Curves) -> str:
    cells = []
    for fraction in FRACTIONS:
        scores, others = ({s: c[fraction] for s, c in by.items() if fraction in c} for by in (by_seed, its))
        cell = f"{spread(list(scores.values())).mean:.1f}" if scores else ""
        difference = paired_difference(arm, baseline, scores, others) if arm != baseline else None
        if difference is not None:
            interval = difference.spread.interval
            cell += f" ({difference.spread.mean:+.1f}"
            cell += f", {interval[0]:+.1f} to {interval[1]:+.1f})" if interval is not None else ")"
        cells.append(cell)
    return f"| {arm} | {len(by_seed)} | {' | '.join(cells)} | {'' if arm == baseline else _matched(by_seed, its)} |"


def _matched(by_seed: Curves, baseline: Curves) -> str:
    """The part of the labels at which an arm is as good as the baseline with all: the least to the most over seeds."""
    found = []
    for seed, curve in by_seed.items():
        if len(curve) < len(FRACTIONS) or 1.0 not in baseline.get(seed, {}):
            continue
        part = matching_fraction(FRACTIONS, [curve[fraction] for fraction in FRACTIONS], baseline[seed][1.0])
        found.append(part)
    if not found:
        return ""
    reached = [part for part in found if part is not None]
    if len(reached) < len(found):
        return f"not reached by {len(found) - len(reached)} of {len(found)} seeds"
    return f"{min(reached):.0%} to {max(reached):.0%} of the labels"


if __name__ == "__main__":
    main()
