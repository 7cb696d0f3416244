"""Which positives do samples made ahead give: none, pairs, groups, or variations of real images? Through `compare`.

    python benchmarks/positives.py --out OUT --seeds 6
    python benchmarks/positives.py --out OUT --seeds 6 --question anchors
    python benchmarks/positives.py --out OUT --table

One diffusion model of the real images; all arms train on as many images and views a step, half of them synthetic. The
same command continues an interrupted comparison. A line of JSON in OUT/positives.jsonl.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Question:
    """What is compared.

    Attributes:
        sets: options of `generate` by the name of a set.
        arms: as `compare --arm` takes them, with the names of sets in braces.
        judged: differences, arm and what it is compared with.
    """

    sets: dict[str, dict[str, Any]]
    arms: dict[str, str]
    judged: tuple[tuple[str, str], ...]


STRENGTHS = {"10": 0.1, "25": 0.25, "50": 0.5}
"""In percent, as names of sets and arms have them, and as `generate --anchor-strength` takes them."""
KINDS = Question(
    {
        "singles": {},
        "pairs": {"pairs": True},
        "groups": {"images_per_sample": 4},
        "variations": {"anchor_strength": 0.5},
    },
    {
        "singles": "offline --shards {singles} --synthetic-ratio 1",
        "pairs": "offline --shards {pairs} --synthetic-ratio 0.5",
        "groups": "offline --shards {groups} --synthetic-ratio 0.25",
        "anchored": "offline --shards {variations} --synthetic-ratio 1",
        "apart": "offline --shards {variations} --synthetic-ratio 1 --no-anchored",
    },
    (
        ("groups", "pairs"),
        ("anchored", "pairs"),
        ("pairs", "singles"),
        ("anchored", "apart"),
        ("pairs", "real-4-views"),
        ("anchored", "real-4-views"),
    ),
)
"""With two views of each image all have as many synthetic views a step as real ones. `apart` has the images of
`anchored` and takes them for images of their own: what differs is that they are positives of the real ones."""
ANCHORS = Question(
    {
        "pairs": {"pairs": True},
        **{f"variations-{p}": {"anchor_strength": strength} for p, strength in STRENGTHS.items()},
    },
    {
        "pairs": "offline --shards {pairs} --synthetic-ratio 0.5",
        **{f"anchored-{p}": f"offline --shards {{variations-{p}}} --synthetic-ratio 1" for p in STRENGTHS},
        **{
            f"clsp-{p}": f"offline --shards {{variations-{p}}} --synthetic-ratio 1 --synthetic-loss clsp"
            for p in STRENGTHS
        },
    },
    tuple(
        (f"{loss}-{p}", other)
        for loss in ("anchored", "clsp")
        for p in STRENGTHS
        for other in ("pairs", "real-4-views")
    ),
)
"""Variations nearer to their real images, and CLSP's loss, in which they attract and are nobody's negatives."""
QUESTIONS = {"kinds": KINDS, "anchors": ANCHORS}


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
    asked = {"setting": options.setting, "seeds": options.seeds, "question": options.question}
    if any(asked.items() <= {"question": "kinds", **row}.items() for row in rows_of(found)):
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
    parser.add_argument("--question", choices=QUESTIONS, default="kinds")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cifar10", default="cifar10", help="SPEC of CIFAR-10, without split, such as a folder")
    parser.add_argument("--table", action="store_true", help="print what stands in OUT")
    return parser.parse_args()


def run(options: argparse.Namespace, folder: Path, setting: dict[str, Any]) -> dict[str, Any]:
    """Make the generator and the sets where they are not, and compare."""
    began, question = time.monotonic(), QUESTIONS[options.question]
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
    shards = {name: str(folder / name) for name in question.sets}
    for name, how in question.sets.items():
        anchors = {"anchors": setting["data"]} if "anchor_strength" in how else {}
        count = setting["samples"]
        generate(generator=generator, num_samples=count, **sampled, **how, **anchors, out=shards[name], workers=1)
    compared = folder / ("compared" if options.question == "kinds" else f"compared-{options.question}")
    compare(
        **images,
        test_data=setting["test_data"],
        **setting["train"],
        backbone="resnet10-w16",
        regimes="real,real-4-views",
        arm=[f"{name}: {text.format(**shards)}" for name, text in question.arms.items()],
        judge=[f"{arm}-{other}" for arm, other in question.judged],
        seeds=options.seeds,
        label_fraction=[1.0],
        out=str(compared),
    )
    arms = ("real", "real-4-views", *question.arms)
    return {
        "setting": options.setting,
        "question": options.question,
        "seeds": options.seeds,
        **{measure: by_seed(compared, measure, arms) for measure in ("linear", "knn")},
        "options": setting | sampled | {"sets": question.sets},
        "seconds": round(time.monotonic() - began),
        "versions": record_environment()["versions"],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def table(row: dict[str, Any]) -> None:
    """Means of the arms, and the differences that are judged, paired by seed."""
    question = row.get("question", "kinds")
    print(f"\n{row['setting']}, {question}, {row['seeds']} seeds\n\n| probe | {' | '.join(row['linear'])} |")
    print(f"|---{'|---' * len(row['linear'])}|")
    for measure in ("linear", "knn"):
        print(f"| {measure} | {' | '.join(f'{sum(v) / len(v):.2f}' for v in row[measure].values())} |")
    print("\n| difference | linear | knn |\n|---|---|---|")
    for arm, other in QUESTIONS[question].judged:
        cells = [difference(row[measure][arm], row[measure][other]) for measure in ("linear", "knn")]
        print(f"| {arm} - {other} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
