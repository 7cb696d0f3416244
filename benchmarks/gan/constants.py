"""What each constant of a GAN's preset is worth: `synthcl pretrain` with one change at a time, at equal steps.

    python benchmarks/gan/constants.py --data cifar10:train --image-size 16 --encoder RUN --out OUT --steps 4000 \\
        --first-seed 100 --seeds 3

Each (change, seed) is a run of `pretrain`, whose samples are measured at its end in the features of a frozen encoder;
what stands in OUT/results.jsonl is not done again, and an interrupted run goes on from its checkpoint. Run it once more
beside itself to use another core. At equal steps, as schedules know their end by them: `penalty_every` and sizes change
what a step costs, for which there is `seconds`. See choosing.md beside this file for the protocol.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import fcntl
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch
from results import FILE, append, read

from synthcl.pipeline import pretrain
from synthcl.pipeline.runs.folder import read_metrics
from synthcl.pipeline.runtime.environment import processor

PRESET = "preset"
CHANGES: dict[str, dict[str, Any]] = {
    PRESET: {},
    "rates-half": {"learning_rate": 5e-4},
    "rates-double": {"learning_rate": 2e-3},
    "generator-rate-half": {"generator_learning_rate": 5e-4},
    "discriminator-rate-half": {"discriminator_learning_rate": 5e-4},
    "decay-half": {"decay": 0.5},
    "gamma-.01": {"gamma": 0.01},
    "gamma-.2": {"gamma": 0.2},
    # R3GAN (arXiv 2501.05441) lets gamma fall tenfold, and beta2 rise from .9 to .99.
    "gamma-falls": {"gamma": 0.2, "final_gamma": 0.02},
    "beta1-.5": {"beta1": 0.5},
    "beta2-.9": {"beta2": 0.9},
    "beta2-.999": {"beta2": 0.999},
    "beta2-rises": {"beta2": 0.9, "final_beta2": 0.99},
    "penalty-each-step": {"penalty_every": 1},
    "penalty-every-8": {"penalty_every": 8},
    "average-.99": {"ema_decay": 0.99},
    "average-.9995": {"ema_decay": 0.9995},
    "augment": {"augment": "translation,cutout"},
    "tiny-discriminator": {"discriminator_preset": "tiny"},
}
"""What differs from the preset, whose own values are those of `plain` where a change halves or doubles one."""

MEASURES = ("frechet_distance", "frechet_distance_real", "precision", "recall", "checkerboard", "checkerboard_real")
LAST = 0.1
"""The last part of the logged steps that a margin is the mean of. Ours."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / FILE
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for change in options.changes.split(","):
            with open(options.out / f"{change}-seed-{seed}.lock", "w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if not any((row["change"], row["seed"]) == (change, seed) for row in read(results)):
                    append(results, run(options, change, seed))
    print(table(read(results)))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="SPEC", help="the real images")
    parser.add_argument("--image-size", type=int, required=True, metavar="S", help="pixels a side")
    parser.add_argument("--encoder", required=True, metavar="RUN", help="as --eval-encoder of pretrain")
    parser.add_argument("--eval-samples", type=int, default=5000, metavar="N", help="samples to measure, and images")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of runs and results")
    parser.add_argument("--preset", default="plain", help="what is changed")
    parser.add_argument("--changes", default=",".join(CHANGES), metavar="NAME,...", help=f"of {', '.join(CHANGES)}")
    parser.add_argument("--steps", type=int, default=4000, help="of each run")
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each change")
    parser.add_argument("--first-seed", type=int, default=100, metavar="SEED")
    options = parser.parse_args(arguments)
    if unknown := set(options.changes.split(",")) - set(CHANGES):
        parser.error(f"unknown changes {', '.join(sorted(unknown))}; they are {', '.join(CHANGES)}")
    return options


def run(options: argparse.Namespace, change: str, seed: int) -> dict[str, Any]:
    """Train and measure one change with one seed."""
    folder = options.out / f"{change}-seed-{seed}"
    result = pretrain(
        **{
            "data": options.data,
            "image_size": options.image_size,
            "preset": options.preset,
            "steps": options.steps,
            "batch_size": options.batch_size,
            "eval_encoder": options.encoder,
            "eval_samples": options.eval_samples,
            "log_every": 50,
            "seed": seed,
            "out": str(folder),
            **CHANGES[change],
        }
    )
    rows = read_metrics(folder)
    measured = next(row for row in reversed(rows) if MEASURES[0] in row)
    margins = [row["margin"] for row in rows if "margin" in row]
    last = margins[-max(1, round(LAST * len(margins))) :]
    return {
        "change": change,
        "seed": seed,
        "preset": options.preset,
        "options": CHANGES[change],
        "image_size": options.image_size,
        "steps": result["steps"],
        "seconds": result["seconds"],
        **{name: round(measured[name], 4) for name in MEASURES},
        "margin": round(sum(last) / len(last), 4),
        "torch": torch.__version__,
        "processor": processor(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: each change with its distances by seed, and their ratio to the preset's, paired by seed."""
    distances: dict[str, dict[int, float]] = {}
    for row in rows:
        distances.setdefault(row["change"], {})[row["seed"]] = row["frechet_distance"]
    lines = ["| change | Fréchet distance, by seed | over the preset's | recall | D's margin |", "|---" * 5 + "|"]
    for change, by_seed in distances.items():
        own = [row for row in rows if row["change"] == change]
        both = sorted(by_seed.keys() & distances.get(PRESET, {}).keys())
        ratio = f"{geometric_mean(by_seed[s] / distances[PRESET][s] for s in both):.2f}" if both else ""
        cells = (
            change,
            ", ".join(f"{by_seed[seed]:.2f}" for seed in sorted(by_seed)),
            ratio,
            *(f"{sum(row[name] for row in own) / len(own):.2f}" for name in ("recall", "margin")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
