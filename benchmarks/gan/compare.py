"""Our GAN beside the recipes of others, at equal CPU time and about equal numbers of weights.

    python benchmarks/gan/compare.py --data cifar10 --image-size 16 --encoder RUN --out DIR

Every arm (a recipe, with options changed or not) is trained with every seed and measured at every point of CPU time;
the protocol is in benchmarks/gan/README.md. The same command again goes on where it was stopped. Run it once more
beside itself to use another core: each process takes the jobs that no other has.

    DIR/results.jsonl    a line for each measurement, as they come; `table.py` makes a table and a plot of them
    DIR/protocol.json    what all measurements have in common; another protocol needs another folder
    DIR/grids/           samples
    DIR/states/          saved states, from which a job goes on; also to later points, when more are given
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from job import CPU_SECONDS, STEPS, Job, Plan, claimed
from measure import Judge
from recipes import OURS, Arm, arm_names, create, parse_arm

from synthcl.pipeline.data import cached, open_images
from synthcl.pipeline.encoder import load_encoder
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.files import write_json
from synthcl.pipeline.runtime.allocator import keep_freed_memory
from synthcl.pipeline.runtime.environment import processor

SETTINGS = ("data", "image_size", "batch_size", "num_samples", "num_neighbours", "encoder_hash", "ours_parameters")
"""The keys of protocol.json that must be the same for results to compare."""


def main() -> int:
    options = parse()
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        compare(options)
    except UsageError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except (DataError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="SPEC", help="the real images")
    parser.add_argument("--encoder", required=True, metavar="RUN", help="of real images alone, to measure with")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="for results; made if not there")
    parser.add_argument(
        "--recipes",
        default="ours,dcgan,sngan,stylegan2",
        metavar="ARM,...",
        help=f"of {', '.join(arm_names())}; with options of a recipe changed: sngan:discriminator_steps=1",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each arm")
    parser.add_argument("--first-seed", type=int, default=0, metavar="SEED", help="others to choose options with")
    points = parser.add_mutually_exclusive_group()
    points.add_argument("--cpu-seconds", default="300,600,1200", metavar="S,...", help="of training, when to measure")
    points.add_argument("--steps", metavar="N,...", help="when to measure, in steps in place of CPU seconds")
    parser.add_argument("--ours", action="append", default=[], metavar="KEY=VALUE", help="an option of ours")
    parser.add_argument("--image-size", type=int, metavar="S", help="pixels a side (default: the encoder's)")
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step, for every arm")
    parser.add_argument("--num-samples", type=int, default=5000, help="and real images, for the distance")
    parser.add_argument("--num-neighbours", type=int, default=2000, help="samples for precision and recall, likewise")
    parser.add_argument("--save-every", type=float, default=60.0, metavar="S", help="CPU seconds between saved states")
    return parser.parse_args()


def compare(options: argparse.Namespace) -> None:
    """Run all jobs that are not done and that no other process has."""
    arms = [parse_arm(text, tuple(options.ours)) for text in options.recipes.split(",")]
    unit, points = read_points(options)
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds} is below 1")
    encoder = load_encoder(options.encoder)
    size = options.image_size or encoder.image_size
    match = ours_parameters(arms, size)
    for arm in arms:  # before hours of training: whether each can be made
        create(arm, size, match)
    store = cached(open_images(options.data, image_size=size, split="train"), "ram")
    judge = Judge(encoder, store, options.num_samples, options.num_neighbours)
    for folder in ("states", "grids"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    keep_protocol(
        options.out / "protocol.json",
        {
            "data": store.fingerprint(),
            "image_size": size,
            "batch_size": options.batch_size,
            "num_samples": options.num_samples,
            "num_neighbours": options.num_neighbours,
            "encoder_hash": encoder.weights_hash(),
            "ours_parameters": match,
            "encoder": encoder.name,
            "frechet_distance_of_real_images": judge.floor,
            "checkerboard_of_real_images": judge.checkerboard,
            "torch": torch.__version__,
            "hardware": f"{processor()}, {os.cpu_count()} cores",
        },
    )
    plan = Plan(options.out, store, judge, options.batch_size, match, unit, points, options.save_every)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for arm in arms:
            job = Job(plan, arm, seed)
            with claimed(job) as free:
                if free and job.missing():
                    job.run()


def read_points(options: argparse.Namespace) -> tuple[str, tuple[float, ...]]:
    """The unit, and the points in order."""
    unit, text = (STEPS, options.steps) if options.steps else (CPU_SECONDS, options.cpu_seconds)
    try:
        points = sorted({float(part) for part in text.split(",")})
    except ValueError:
        points = []
    if not points or points[0] <= 0:
        raise UsageError(f"--{unit.replace('_', '-')} {text!r}: give numbers above 0, such as 300,600,1200")
    return unit, tuple(points)


def ours_parameters(arms: list[Arm], image_size: int) -> dict[str, int]:
    """How many weights the networks of ours have: those of the first arm that is ours, or of the defaults."""
    ours = next((arm for arm in arms if arm.recipe == OURS), parse_arm(OURS))
    return create(ours, image_size, {}).parameters()


def keep_protocol(path: Path, protocol: dict[str, Any]) -> None:
    """Write the protocol, or compare it with the one that is there.

    Raises:
        UsageError: results of another protocol are in the folder.
    """
    if not path.exists():
        write_json(path, protocol)
        return
    before = json.loads(path.read_text())
    for name in SETTINGS:
        if before[name] != protocol[name]:
            raise UsageError(
                f"{path.parent} has results with {name} {before[name]!r}, not {protocol[name]!r}: give another --out"
            )


if __name__ == "__main__":
    sys.exit(main())
