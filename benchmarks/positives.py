"""Which positives do samples made ahead give: none, pairs, groups, or variations of real images? Through `compare`.

    python benchmarks/positives.py --out OUT --seeds 6
    python benchmarks/positives.py --out OUT --table

One diffusion model of the real images; all arms train on as many images and views a step, half of them synthetic. The
same command continues an interrupted comparison. A line of JSON in OUT/positives.jsonl.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from learners import by_seed, difference, rows_of
from synthcl.pipeline import compare, generate, pretrain
from synthcl.pipeline.runtime.environment import record_environment

SETTINGS: dict[str, dict[str, Any]] = {
    # To try the script.
    "digits": {
        "data": "digits:train[:20%,balanced]",
        "test_data": "digits:test",
        "train": {"batch_size": 64, "steps": 20, "views": "digits"},
        "diffusion": {"batch_size": 64, "steps": 60},
        "samples": 600,
    },
    # A tenth of CIFAR-10, as in online/, for ten epochs.
    "cifar10": {
        "data": "cifar10:train[:10%,balanced]",
        "test_data": "cifar10:test",
        "train": {"batch_size": 128, "steps": 390},
        "diffusion": {"batch_size": 64, "steps": 4000, "flip": True},
        "samples": 10_000,
    },
}
SIZE = 16
SETS: dict[str, dict[str, Any]] = {
    "singles": {},
    "pairs": {"pairs": True},
    "groups": {"images_per_sample": 4},
    "variations": {"anchor_strength": 0.5},
}
ARMS = {
    "singles": "offline --shards {singles} --synthetic-ratio 1",
    "pairs": "offline --shards {pairs} --synthetic-ratio 0.5",
    "groups": "offline --shards {groups} --synthetic-ratio 0.25",
    "anchored": "offline --shards {variations} --synthetic-ratio 1",
    "apart": "offline --shards {variations} --synthetic-ratio 1 --no-anchored",
}
"""With two views of each image all have as many synthetic views a step as real ones. `apart` has the images of
`anchored` and takes them for images of their own: what differs is that they are positives of the real ones."""
JUDGED = (
    ("groups", "pairs"),
    ("anchored", "pairs"),
    ("pairs", "singles"),
    ("anchored", "apart"),
    ("pairs", "real-4-views"),
    ("anchored", "real-4-views"),
)


def main() -> None:
    options = arguments()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    found = out / "positives.jsonl"
    if options.table:
        for row in rows_of(found):
            table(row)
        return
    torch.set_num_threads(options.threads)
    if any((row["setting"], row["seeds"]) == (options.setting, options.seeds) for row in rows_of(found)):
        return
    setting = SETTINGS[options.setting]
    for name in ("data", "test_data"):
        setting[name] = setting[name].replace("cifar10", options.cifar10)
    row = run(options, out / options.setting, setting)
    with open(found, "a") as stream:
        stream.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of generator, sets, runs and results")
    parser.add_argument("--setting", choices=SETTINGS, default="cifar10")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cifar10", default="cifar10", help="SPEC of CIFAR-10, without split, such as a folder")
    parser.add_argument("--table", action="store_true", help="print what stands in OUT")
    return parser.parse_args()


def run(options: argparse.Namespace, folder: Path, setting: dict[str, Any]) -> dict[str, Any]:
    """Make the generator and the sets where they are not, and compare."""
    began = time.monotonic()
    generator, images = str(folder / "generator"), {"data": setting["data"], "image_size": SIZE}
    sampled = {"sampler": "dpm", "sampling_steps": 10}
    pretrain(
        **images,
        **setting["diffusion"],
        **sampled,
        generator="diffusion",
        preset="tiny",
        generator_precision="bf16",
        seed=0,
        out=generator,
        log_every=50,
    )
    shards = {name: str(folder / name) for name in SETS}
    for name, how in SETS.items():
        anchors = {"anchors": setting["data"]} if "anchor_strength" in how else {}
        count = setting["samples"]
        generate(generator=generator, num_samples=count, **sampled, **how, **anchors, out=shards[name], workers=1)
    compared = folder / "compared"
    compare(
        **images,
        test_data=setting["test_data"],
        **setting["train"],
        backbone="resnet10-w16",
        regimes="real,real-4-views",
        arm=[f"{name}: {text.format(**shards)}" for name, text in ARMS.items()],
        judge=[f"{arm}-{other}" for arm, other in JUDGED],
        seeds=options.seeds,
        label_fraction=[1.0],
        out=str(compared),
    )
    arms = ("real", "real-4-views", *ARMS)
    return {
        "setting": options.setting,
        "seeds": options.seeds,
        **{measure: by_seed(compared, measure, arms) for measure in ("linear", "knn")},
        "options": setting | sampled | {"sets": SETS},
        "seconds": round(time.monotonic() - began),
        "versions": record_environment()["versions"],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def table(row: dict[str, Any]) -> None:
    """Means of the arms, and the differences that are judged, paired by seed."""
    print(f"\n{row['setting']}, {row['seeds']} seeds\n\n| probe | {' | '.join(row['linear'])} |")
    print(f"|---{'|---' * len(row['linear'])}|")
    for measure in ("linear", "knn"):
        print(f"| {measure} | {' | '.join(f'{sum(v) / len(v):.2f}' for v in row[measure].values())} |")
    print("\n| difference | linear | knn |\n|---|---|---|")
    for arm, other in JUDGED:
        cells = [difference(row[measure][arm], row[measure][other]) for measure in ("linear", "knn")]
        print(f"| {arm} - {other} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
