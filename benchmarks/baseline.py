"""Is our `real` weak? SimCLR and MoCo v2 by `synthcl train` and by lightly's own code, at the same length.

    python benchmarks/baseline.py --data cifar10:train --test-data cifar10:test --out OUT --seeds 3

Both sides have the same images, number of steps, batch, backbone, widths of heads, temperature, queue, momentum, ranges
of views, optimizer, learning rate and schedule (warm-up, then half a cosine), in fp32. lightly's side has its own
transforms, heads, losses, memory bank, scheduler and PyTorch's DataLoader: another random order and other views of the
same ranges. Encoders of both sides get the same two probes.

A line of JSON a training in OUT/baseline.jsonl; what stands there is not done again. `--table` prints means, deviations
and the difference paired by seed, with its 95% interval.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightly_methods import LIGHTLY, VIEWS, Pictures

from synthcl.learners import create_backbone, learner_recipe
from synthcl.pipeline import evaluate, train
from synthcl.pipeline.comparison.statistics import spread
from synthcl.pipeline.data import open_images
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.runtime.environment import record_environment, version_of
from synthcl.pipeline.training.build import WARMUP_PART

THEIRS = "lightly"
LIGHTLYS_MOCO = "lightlys_moco:LightlysMoCo"
OURS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "simclr": {"synthcl": ("simclr", {}), "synthcl, head_batchnorm": ("simclr", {"head_batchnorm": True})},
    "moco": {
        "synthcl": ("moco", {}),
        "synthcl, statistics apart": (LIGHTLYS_MOCO, {"keys_at_once": False}),
        "synthcl, as lightly's": (LIGHTLYS_MOCO, {}),
    },
}
"""Our sides of each learner, a learner of `train` and its options: as it is, and with what lightly does otherwise."""


def main() -> None:
    options = arguments()
    out = Path(options.out)
    if options.table:
        return table(out / "baseline.jsonl")
    torch.set_num_threads(options.threads)
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seeds):
        for learner in options.learners.split(","):
            for side in (*OURS[learner], THEIRS):
                if not done(out / "baseline.jsonl", learner, side, seed):
                    row = run(options, out, learner, side, seed)
                    with open(out / "baseline.jsonl", "a") as stream:
                        stream.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10:train", help="SPEC of the training images")
    parser.add_argument("--test-data", default="cifar10:test", help="SPEC of the images to score on")
    parser.add_argument("--out", required=True, help="folder of runs and results")
    parser.add_argument("--learners", default="simclr,moco", help=f"of {', '.join(LIGHTLY)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--backbone", default="resnet10-w16")
    parser.add_argument("--workers", type=int, default=0, help="of lightly's DataLoader")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    parser.add_argument("--table", action="store_true", help="print what stands in OUT")
    options = parser.parse_args()
    if unknown := set(options.learners.split(",")) - set(LIGHTLY):
        parser.error(f"unknown learners {', '.join(sorted(unknown))}; they are {', '.join(LIGHTLY)}")
    return options


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def done(file: Path, learner: str, side: str, seed: int) -> bool:
    """Whether a training stands among the results."""
    return any((row["learner"], row["side"], row["seed"]) == (learner, side, seed) for row in rows_of(file))


def run(options: argparse.Namespace, out: Path, learner: str, side: str, seed: int) -> dict[str, Any]:
    """Train one encoder and probe it."""
    folder = out / f"{learner}-{side.replace(', ', '-').replace(' ', '-')}-seed-{seed}"
    began = time.monotonic()
    if side == THEIRS:
        train_lightly(options, learner, seed, folder)
    else:
        train_ours(options, VIEWS[learner], *OURS[learner][side], seed, folder)
    seconds = time.monotonic() - began
    scores = {
        task: round(100 * evaluate(folder, options.data, task=task, test_data=options.test_data)["top1"], 2)
        for task in ("linear", "knn")
    }
    return {
        "learner": learner,
        "side": side,
        "seed": seed,
        **scores,
        "seconds": round(seconds, 1),
        **{name: getattr(options, name) for name in ("data", "epochs", "batch_size", "image_size", "backbone")},
        "versions": record_environment()["versions"] | {"lightly": version_of("lightly")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def train_ours(
    options: argparse.Namespace, views: str, learner: str, learner_option: dict[str, Any], seed: int, folder: Path
) -> None:
    names = ("data", "epochs", "batch_size", "image_size", "backbone")
    common = {name: getattr(options, name) for name in names}
    common |= {"learner": learner, "learner_option": learner_option}
    train(**common, views=views, precision="fp32", seed=seed, out=str(folder))


def train_lightly(options: argparse.Namespace, learner: str, seed: int, folder: Path) -> None:
    """As lightly's examples write a training; its encoder is saved as ours are."""
    from lightly.utils.scheduler import CosineWarmupScheduler

    store = open_images(options.data, split="train", image_size=options.image_size)
    images = store.read(np.arange(len(store))).permute(0, 2, 3, 1).contiguous().numpy()
    torch.manual_seed(seed)
    np.random.seed(seed)
    method = LIGHTLY[learner](create_backbone(options.backbone, image_size=options.image_size))
    loader = torch.utils.data.DataLoader(
        Pictures(images, method.transform(options.image_size)),
        batch_size=options.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=options.workers,
    )
    recipe = learner_recipe(learner)
    optimizer = torch.optim.SGD(
        [p for p in method.parameters() if p.requires_grad],
        lr=recipe.learning_rate(options.batch_size),
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    steps = options.epochs * len(loader)
    scheduler = CosineWarmupScheduler(optimizer, int(WARMUP_PART * steps), steps, end_value=0.0)
    for _ in range(options.epochs):
        for views in loader:
            loss = method(*(view.contiguous(memory_format=torch.channels_last) for view in views))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    folder.mkdir(parents=True, exist_ok=True)
    Encoder(method.backbone, options.backbone, options.image_size).save(folder / "encoder")


def table(file: Path) -> None:
    """Means and deviations of both sides, and ours less lightly's, paired by seed."""
    rows = rows_of(file)
    print("| learner | n | probe | ours | lightly | difference, 95% interval |\n|---|---|---|---|---|---|")
    for learner, ours in OURS.items():
        by_side = {
            side: {row["seed"]: row for row in rows if (row["learner"], row["side"]) == (learner, side)}
            for side in (*ours, THEIRS)
        }
        for side in ours:
            seeds = sorted(by_side[side].keys() & by_side[THEIRS].keys())
            for task in ("linear", "knn"):
                own, theirs = (np.array([by_side[name][seed][task] for seed in seeds]) for name in (side, THEIRS))
                if seeds:
                    name = learner + side.removeprefix("synthcl")
                    cells = [name, str(len(seeds)), task, in_words(own), in_words(theirs), interval(own - theirs)]
                    print(f"| {' | '.join(cells)} |")


def in_words(found: np.ndarray) -> str:
    """Mean and deviation."""
    return f"{found.mean():.2f}" + (f" ± {found.std(ddof=1):.2f}" if len(found) > 1 else "")


def interval(difference: np.ndarray) -> str:
    """The mean of paired differences, with its interval from three on."""
    found = spread(difference.tolist())
    ends = "" if found.interval is None else ", {:+.2f} to {:+.2f}".format(*found.interval)
    return f"{found.mean:+.2f}{ends}"


if __name__ == "__main__":
    main()
