"""Does each learner train with synthetic images? All of them through `synthcl compare`, with real, offline and online.

    python benchmarks/learners.py --out OUT --setting cifar10 --seeds 3
    python benchmarks/learners.py --out OUT --table

All learners of a setting have one generator and one shard set, the same images, length and probes, and each its own
published views, optimizer and temperature: what is compared is the regimes of a learner, not learners. A line of JSON a
learner in OUT/learners.jsonl; what stands there is not done again, and an interrupted comparison is continued.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from synthcl.learners import learner_names
from synthcl.pipeline import compare, generate, pretrain
from synthcl.pipeline.comparison.statistics import paired_difference
from synthcl.pipeline.runtime.environment import record_environment

REGIMES = ("real", "offline", "online")
DIFFERENCES = (("offline", "real"), ("online", "real"), ("online", "offline"))
SETTINGS: dict[str, dict[str, Any]] = {
    # As the demo has it: 287 digits.
    "digits": {
        "images": {"data": "digits:train[:20%,balanced]", "test_data": "digits:test", "image_size": 16},
        "train": {"batch_size": 64, "steps": 100, "views": "digits"},
        "gan": {"batch_size": 64, "steps": 400},
        "samples": 3_200,
    },
    # A tenth of CIFAR-10, as in online/, for five epochs of its thirty.
    "cifar10": {
        "images": {"data": "cifar10:train[:10%,balanced]", "test_data": "cifar10:test", "image_size": 16},
        "train": {"batch_size": 128, "steps": 195},
        "gan": {"steps": 6000},
        "samples": 20_000,
    },
}


def main() -> None:
    options = arguments()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    if options.table:
        return table(rows_of(out / "learners.jsonl"))
    torch.set_num_threads(options.threads)
    setting = SETTINGS[options.setting]
    if options.setting == "cifar10":
        setting["images"] |= {
            name: setting["images"][name].replace("cifar10", options.cifar10) for name in ("data", "test_data")
        }
    generator, shards = source(options, out, setting)
    for learner in options.learners.split(","):
        if not done(out / "learners.jsonl", options.setting, learner, options.seeds):
            row = run(options, out / options.setting / learner, learner, setting, generator, shards)
            with open(out / "learners.jsonl", "a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of runs and results")
    parser.add_argument("--setting", choices=SETTINGS, default="cifar10")
    parser.add_argument("--learners", default=",".join(learner_names()))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cifar10", default="cifar10", help="SPEC of CIFAR-10, without split, such as a folder")
    parser.add_argument("--generator", help="a generator of the setting's images, instead of one made here")
    parser.add_argument("--table", action="store_true", help="print what stands in OUT")
    options = parser.parse_args()
    if unknown := set(options.learners.split(",")) - set(learner_names()):
        parser.error(f"unknown learners {', '.join(sorted(unknown))}; they are {', '.join(learner_names())}")
    return options


def source(options: argparse.Namespace, out: Path, setting: dict[str, Any]) -> tuple[str, str]:
    """The generator of a setting and its shard set, made where they are not."""
    generator = options.generator or str(out / options.setting / "generator")
    images = {name: setting["images"][name] for name in ("data", "image_size")}
    if not options.generator:
        pretrain(**images, **{"preset": "tiny", **setting["gan"]}, seed=0, out=generator, log_every=50)
    shards = str(out / options.setting / "shards")
    generate(generator=generator, num_samples=setting["samples"], pairs=True, out=shards, workers=1)
    return generator, shards


def run(
    options: argparse.Namespace, folder: Path, learner: str, setting: dict[str, Any], generator: str, shards: str
) -> dict[str, Any]:
    """Compare the regimes of one learner."""
    began = time.monotonic()
    compare(
        **setting["images"],
        **setting["train"],
        learner=learner,
        backbone="resnet10-w16",
        regimes=",".join(REGIMES),
        generator=generator,
        shards=[shards],
        seeds=options.seeds,
        label_fraction=[1.0],
        primary="online-real",
        out=str(folder),
    )
    return {
        "setting": options.setting,
        "learner": learner,
        "seeds": options.seeds,
        **{measure: by_seed(folder, measure, REGIMES) for measure in ("linear", "knn")},
        "options": setting["train"],
        "seconds": round(time.monotonic() - began),
        "versions": record_environment()["versions"],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def by_seed(folder: Path, measure: str, arms: Iterable[str]) -> dict[str, list[float]]:
    """Top-1 % of each arm, in the order of seeds, from the comparison's own table of results."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / "results.parquet").to_pylist()
    rows = [row for row in rows if row["task"] == measure and row["metric"] == "top1" and row["label_fraction"] == 1.0]
    return {
        arm: [
            round(100 * row["value"], 2)
            for row in sorted(rows, key=lambda row: row["seed"])
            if row["arm"] == arm and not row["transfer"]
        ]
        for arm in arms
    }


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def done(file: Path, setting: str, learner: str, seeds: int) -> bool:
    """Whether a comparison of so many seeds stands among the results."""
    return any((row["setting"], row["learner"], row["seeds"]) == (setting, learner, seeds) for row in rows_of(file))


def table(rows: list[dict[str, Any]]) -> None:
    """Means of each learner and regime, and the differences, paired by seed."""
    for setting in SETTINGS:
        print(f"\n{setting}\n")
        heads = ["learner", "n", "probe", *REGIMES, *(f"{arm} - {other}" for arm, other in DIFFERENCES)]
        print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
        for row in (row for row in rows if row["setting"] == setting):
            for measure in ("linear", "knn"):
                found = row[measure]
                means = [f"{sum(found[regime]) / len(found[regime]):.2f}" for regime in REGIMES]
                differences = [difference(found[arm], found[other]) for arm, other in DIFFERENCES]
                cells = [f"`{row['learner']}`", str(row["seeds"]), measure, *means, *differences]
                print(f"| {' | '.join(cells)} |")


def difference(arm: list[float], other: list[float]) -> str:
    """The mean of paired differences with its 95% interval."""
    found = paired_difference("", "", dict(enumerate(arm)), dict(enumerate(other)))
    assert found is not None, "both have the same seeds"
    if found.spread.interval is None:
        return f"{found.spread.mean:+.2f}"
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(found.spread.mean, *found.spread.interval)


if __name__ == "__main__":
    main()
