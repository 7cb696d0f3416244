"""Does joint generation help, and what does each part of it give? Arms x seeds, a result a line, in any number of goes.

    python benchmarks/online/study.py --data cifar10:train --test-data cifar10:test --out OUT --setting full \\
        --arms real,fresh,online --seeds 6 --jobs 2 --job 0

Each (setting, arm, seed) is a run of `synthcl train` and two probes; what stands in OUT/results.jsonl is not done
again, and an interrupted run goes on from its checkpoint. The generator of a setting and seed is pretrained once, on
the setting's own images unless it names another setting's. See README.md beside this file for the protocol.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import time
from pathlib import Path
from typing import Any

import torch

from synthcl.pipeline import evaluate, generate, pretrain, train
from synthcl.pipeline.runs.folder import read_metrics
from synthcl.pipeline.runtime.environment import processor, record_environment

IMAGE_SIZE = 16
GAN_EVERY = 500
"""Steps of a generator from one measurement of its samples to the next."""
GAN_PRESET = "tiny"
"""Of the generators of settings that name no other: what `auto` was when the study began."""
COMMON = {"image_size": IMAGE_SIZE, "backbone": "resnet10-w16", "batch_size": 128, "log_every": 50}

SETTINGS: dict[str, dict[str, Any]] = {
    # All 50,000 images; three epochs are 1,170 steps.
    "full": {"part": "", "epochs": 3, "gan_steps": 6000},
    "full-long": {"part": "", "epochs": 9, "gan_steps": 6000},
    # A tenth of them, for as many steps.
    "tenth": {"part": "[:10%,balanced]", "epochs": 30, "gan_steps": 6000},
    # The same tenth for the learner, and a generator that has seen all images, as one trained elsewhere has.
    "tenth-wide-generator": {"part": "[:10%,balanced]", "epochs": 30, "generator": "full"},
    # So few that they are short at this length: 500, for as many steps, and a generator of them or of all images.
    "hundredth": {"part": "[:1%,balanced]", "epochs": 390, "gan_steps": 6000},
    "hundredth-wide-generator": {"part": "[:1%,balanced]", "epochs": 390, "generator": "full"},
    # With the generator that came later, trained for as long by the clock, which is twice as many steps.
    "full-plain": {"part": "", "epochs": 3, "gan_steps": 12_000, "preset": "plain"},
    "tenth-plain": {"part": "[:10%,balanced]", "epochs": 30, "gan_steps": 12_000, "preset": "plain"},
    "tenth-wide-plain": {"part": "[:10%,balanced]", "epochs": 30, "generator": "full-plain"},
    # Ten times as long, with all images and with so few that they may be short then.
    "full-ten-times": {"part": "", "epochs": 30, "generator": "full-plain"},
    "hundredth-ten-times": {"part": "[:1%,balanced]", "epochs": 3900, "generator": "full-plain"},
    "tenth-ten-times": {"part": "[:10%,balanced]", "epochs": 300, "generator": "full-plain"},
    "tenth-plain-ten-times": {"part": "[:10%,balanced]", "epochs": 300, "generator": "tenth-plain"},
    # A third of that, to choose with: the generator has moved as far by then.
    "hundredth-three-times": {"part": "[:1%,balanced]", "epochs": 1300, "generator": "full-plain"},
    # To try the script.
    "toy": {"part": "[:50%,balanced]", "epochs": 1, "gan_steps": 20},
}

ONLINE = {"online": True, "hardness_clip": 0.2}
"""With the bound that was the default when the study began; arms of other bounds name theirs."""
ARMS: dict[str, dict[str, Any]] = {
    "real": {},
    "real-4-views": {"views_per_image": 4},
    "offline": {"shards": True},
    "fresh": {"fresh": True},
    "fresh-no-pairs": {"fresh": True, "pairs": False},
    "online": ONLINE,
    # One part of it less, or another in its place.
    "no-hard": {"online": True, "hard": False},
    "no-pairs": {**ONLINE, "pairs": False},
    "same-latent": {**ONLINE, "pair_strength": 0.0},
    "near-latent": {**ONLINE, "pair_strength": 0.3},
    "objective-loss": {**ONLINE, "hard_objective": "loss"},
    "objective-real-negatives": {**ONLINE, "hard_objective": "real-negatives"},
    "objective-alignment": {**ONLINE, "hard_objective": "alignment"},
    "not-centred": {**ONLINE, "hard_centred": False},
    "bound-1": {**ONLINE, "hardness_clip": 1.0},
    "bound-parameters": {**ONLINE, "hardness_clip": 0.3, "hardness_clip_on": "parameters"},
    "gate": {**ONLINE, "hard_gate": 0.0},
    "freeze": {**ONLINE, "hard_freeze": 0.2},
    "latents": {"online": True, "hard_on": "latents"},
    "pair-floor": {**ONLINE, "pair_floor": 0.3},
    "weight-1": {**ONLINE, "synthetic_weight": 1.0},
    "separate-batchnorm": {**ONLINE, "separate_batchnorm": True},
    # What the guard is for: a bound that lets the learner pull the generator off, with and without it.
    "unbound": {**ONLINE, "hard_centred": False, "hardness_clip": 3.0},
    "unbound-no-guard": {**ONLINE, "hard_centred": False, "hardness_clip": 3.0, "hard_guard": False},
    "no-synthetic-negatives": {**ONLINE, "synthetic_negatives": False},
}
"""What differs from `train`'s defaults in each arm."""

LOGGED = (
    "loss", "hardness_real", "hardness_synthetic", "pair_similarity", "view_similarity_real",
    "view_similarity_synthetic", "margin", "colour_spread", "hard_guard", "hard_ratio", "hard_clipped",
)  # fmt: skip
"""Metrics of the last logged step that are kept."""


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    cells = [(seed, arm) for seed in range(options.first_seed, options.seeds) for arm in options.arms.split(",")]
    for number, (seed, arm) in enumerate(cells):
        name = options.name or arm
        if number % options.jobs != options.job or done(out, options.setting, name, seed):
            continue
        row = run_cell(options, out, arm, name, seed)
        append(out / "results.jsonl", row)
        print(json.dumps(row), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPEC of the training images, without a part")
    parser.add_argument("--test-data", required=True, help="SPEC of the images to score on")
    parser.add_argument("--out", required=True, help="folder of runs and results")
    parser.add_argument("--setting", choices=SETTINGS, default="full")
    parser.add_argument("--arms", default="real,fresh,online", help=f"of {', '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, default=6, help="seeds 0 to N - 1")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--generator-seed", type=int, help="one generator for all seeds, instead of one each")
    parser.add_argument("--eval-encoder", help="a run of real images, to measure generators with as they are trained")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another option of train")
    parser.add_argument("--name", help="what to call the arm with these options")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the cells")
    parser.add_argument("--job", type=int, default=0, help="which of them this is")
    options = parser.parse_args()
    if unknown := set(options.arms.split(",")) - set(ARMS):
        parser.error(f"unknown arms {', '.join(sorted(unknown))}; they are {', '.join(ARMS)}")
    if options.set and not options.name:
        parser.error("--set makes another arm: give it a --name")
    return options


def run_cell(options: argparse.Namespace, out: Path, arm: str, name: str, seed: int) -> dict[str, Any]:
    """Train and probe one arm with one seed."""
    setting = SETTINGS[options.setting]
    data = options.data + setting["part"]
    chosen = {**ARMS[arm], **dict(parsed(one) for one in options.set)}
    generator_seed = seed if options.generator_seed is None else options.generator_seed
    if chosen.get("online") or chosen.get("fresh") or chosen.get("shards"):
        generator = gan(options, out, setting.get("generator", options.setting), generator_seed)
        chosen |= (
            {"shards": [shards(out, options.setting, generator)]}
            if "shards" in chosen
            else {"generator": str(generator)}
        )
    run = out / "runs" / options.setting / f"{name}-seed-{seed}"
    result = train(**{**COMMON, "data": data, "epochs": setting["epochs"], "seed": seed, "out": str(run), **chosen})
    probes = {task: evaluate(run, data, task=task, test_data=options.test_data)["top1"] for task in ("linear", "knn")}
    last = read_metrics(run)[-1]
    return {
        "setting": options.setting,
        "arm": name,
        "seed": seed,
        **{task: round(100 * top1, 2) for task, top1 in probes.items()},
        "steps": result["steps"],
        "seconds": result["seconds"],
        **{key: round(last[key], 4) for key in LOGGED if key in last},
        "options": {key: value for key, value in chosen.items() if key not in ("generator", "shards")},
        "generator_seed": generator_seed,
        "torch": record_environment()["versions"]["torch"],
        "processor": processor(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def gan(options: argparse.Namespace, out: Path, setting: str, seed: int) -> Path:
    """The generator of a setting and a seed, pretrained by its preset; other processes wait while it is made."""
    chosen = SETTINGS[setting]
    how = {"steps": chosen["gan_steps"], "preset": chosen.get("preset", GAN_PRESET), "image_size": IMAGE_SIZE}
    measured = {"eval_encoder": options.eval_encoder, "eval_every": GAN_EVERY} if options.eval_encoder else {}
    folder = out / "generators" / f"{setting}-seed-{seed}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pretrain(data=options.data + chosen["part"], seed=seed, out=str(folder), log_every=50, **how, **measured)
    return folder


def shards(out: Path, setting: str, generator: Path) -> str:
    """The set that `offline` streams: as many pairs as there are training images in the whole set."""
    folder = out / "shards" / generator.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        samples = 1_000 if setting == "toy" else 50_000
        generate(generator=str(generator), num_samples=samples, pairs=True, out=str(folder), workers=1)
    return str(folder)


def parsed(text: str) -> tuple[str, Any]:
    """A NAME=VALUE of --set; values are read as JSON where they are some."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def done(out: Path, setting: str, arm: str, seed: int) -> bool:
    """Whether a cell stands among the results."""
    file = out / "results.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return any((row["setting"], row["arm"], row["seed"]) == (setting, arm, seed) for row in rows)


def append(file: Path, row: dict[str, Any]) -> None:
    """Add a line, whole, whoever else adds one."""
    with open(file, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
