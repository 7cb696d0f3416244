"""How fast the whole of `synthcl train` is, its probes and its first seconds, beside what does the same elsewhere.

    python benchmarks/training.py --device cpu --parts pipeline
    python benchmarks/training.py --device cuda --data cifar10 --backbone resnet18 --batch-size 512 --workers 0,8,16
    python benchmarks/training.py --parts probe,knn,start --rounds 3

`pipeline`: `train`, regime `real`, with reading, views, step, loop and log; beside it lightly's method with its own
transforms and a DataLoader, that of solo-learn's recipe (solo_learn_methods.py), and the bare step on random tensors.
`probe`: the fit of `eval linear` at one penalty; beside it scikit-learn's LogisticRegression at the same.
`knn`: the votes of `eval knn`; beside them lightly's `knn_predict` and scikit-learn's KNeighborsClassifier.
On a GPU cuML's LogisticRegression and NearestNeighbors too, where it is installed.
`start`: seconds until `--help` is printed, a first step is logged, a first shard is written; beside them Python alone,
and Python with torch and torchvision.

`pipeline` needs lightly (`pip install lightly`), which this benchmark and the tests depend on and the package does not.
All have the same images, decoded in memory, backbone, batch, precision, memory format and widths of heads; all of
MoCo's losses are symmetric, as in lightly's CIFAR-10 benchmark. A DataLoader's workers start anew each round, and fill
their queues, before its time begins. `--workers 0,2` makes it a contestant for each number; 0 makes views in the
process.

Contestants alternate, and ratios are taken within a round. Tables go to stderr, a line of JSON a result to stdout.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightly_methods import LIGHTLY, VIEWS, Pictures
from probes import Rows, knn, probe
from solo_learn_methods import SOLO_LEARN
from speed import (
    PausedTraining,
    Stopwatch,
    add_common_options,
    contest,
    emit,
    environment,
    in_words,
    once,
    paused_trainings,
    ratio,
    say,
    settle,
    spread,
)
from torch import Tensor, nn

from synthcl.generators import create_trainer
from synthcl.learners import create_backbone
from synthcl.pipeline.data import open_images

RIVALS = {"lightly": LIGHTLY, "solo_learn": SOLO_LEARN}
POLL_SECONDS = 0.005
GIVE_UP_SECONDS = 300


def main() -> None:
    options = arguments()
    device = settle(options)
    watch = Stopwatch(device, options.clock)
    recorded = environment(lightly="lightly", sklearn="scikit-learn", cuml="cuml-cu12")
    for part in options.parts.split(","):
        for row in PARTS[part](options, watch):
            say(report(row))
            emit("training", options, {"part": part, **row}, recorded)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--steps", type=int, default=10, help="pipeline: steps a round")
    parser.add_argument("--learners", default="simclr,moco", help="pipeline: of simclr, moco")
    parser.add_argument("--workers", default="0,2", help="pipeline: of lightly's DataLoader, a contestant each")
    parser.add_argument("--num-train", type=int, default=50_000, help="probe, knn: features to fit")
    parser.add_argument("--num-test", type=int, default=10_000, help="probe, knn: features to score")
    parser.add_argument("--l2", type=float, default=1e-3, help="probe: the penalty; scikit-learn's C is 1 / (l2 N)")
    parser.add_argument("--neighbours", type=int, default=200, help="knn: k")
    options = parser.parse_args()
    if unknown := set(options.parts.split(",")) - set(PARTS):
        parser.error(f"unknown parts {', '.join(sorted(unknown))}; they are {', '.join(PARTS)}")
    if unknown := set(options.learners.split(",")) - set(LIGHTLY):
        parser.error(f"unknown learners {', '.join(sorted(unknown))}; lightly's here are {', '.join(LIGHTLY)}")
    return options


def report(row: dict[str, Any]) -> str:
    """A result for people: its medians and ranges, a line each."""
    lines = [row["what"]]
    lines += [
        f"  {name:32s}{in_words(value) if isinstance(value, dict) else value}"
        for name, value in row.items()
        if name != "what"
    ]
    return "\n".join(lines)


def pipeline(options: argparse.Namespace, watch: Stopwatch) -> Rows:
    """Images a second of whole trainings, by learner."""
    names = ("data", "backbone", "image_size", "batch_size", "precision")
    common = {name: getattr(options, name) for name in names}
    images = pixels_of(options)
    for learner in options.learners.split(","):
        with tempfile.TemporaryDirectory() as folder:
            own = {"learner": learner, "views": VIEWS[learner], "out": str(Path(folder) / "run")}
            with paused_trainings({"ours": {**common, **own}}) as trainings:
                yield race(learner, trainings["ours"], images, options, watch)


def pixels_of(options: argparse.Namespace) -> np.ndarray:
    """The training images as torchvision's data sets hold them, (N, S, S, 3) uint8."""
    store = open_images(options.data, split="train", image_size=options.image_size)
    return store.read(np.arange(len(store))).permute(0, 2, 3, 1).contiguous().numpy()


def race(
    learner: str, ours: PausedTraining, images: np.ndarray, options: argparse.Namespace, watch: Stopwatch
) -> dict[str, Any]:
    mixed = ours.step.accelerator.mixed_precision
    contestants: dict[str, Callable[[int], None]] = {"ours": ours, "bare": bare_step(ours, options)}
    for workers in map(int, options.workers.split(",")):
        for name, methods in RIVALS.items():
            rival = Rival(methods[learner], images, workers, options, watch.device, mixed)
            contestants[f"{name}_{workers}_workers"] = rival
    times, of_host = contest(
        contestants, rounds=options.rounds, warmup=options.warmup, steps=options.steps, watch=watch
    )
    size = options.batch_size
    rates = {f"{name}_images_per_s": spread([size / t for t in own], digits=1) for name, own in times.items()}
    over = {f"ours_over_{name}": ratio(own, times["ours"]) for name, own in times.items() if name != "ours"}
    host = {"host_ms": spread(of_host["ours"], 1e3)} if watch.device.type == "cuda" else {}
    return {"what": f"pipeline, {learner}", **rates, **over, **host, "num_images": len(images), "mixed": mixed}


def bare_step(training: PausedTraining, options: argparse.Namespace) -> Callable[[int], None]:
    """The learner's passes and its update on the same random tensors each time: no reading, no views, no log."""
    step = training.step
    device = step.accelerator.device
    views = torch.randn(2 * options.batch_size, 3, options.image_size, options.image_size, device=device)
    views = views.contiguous(memory_format=torch.channels_last)
    groups = torch.arange(options.batch_size, device=device).repeat_interleave(2)

    def one() -> None:
        with step.accelerator.autocast():
            output = step.learner(views, groups, len(views))
        step.accelerator.backward(output.loss)
        step.optimizer.step()
        step.optimizer.zero_grad()
        step.inner.after_step(0.5)

    return once(one)


class Rival:
    """A training as a public library writes one, with its own transforms, loss and heads, and a DataLoader.

    Args:
        make: the method around a backbone, one of `RIVALS`.
        images: (N, S, S, 3) uint8.
        workers: of the DataLoader.
        options: of the benchmark.
        device: where to train.
        mixed: Accelerate's name of the precision, "no" or "bf16".
    """

    def __init__(
        self,
        make: Callable[[nn.Module], nn.Module],
        images: np.ndarray,
        workers: int,
        options: argparse.Namespace,
        device: torch.device,
        mixed: str,
    ) -> None:
        self.device, self.workers = device, workers
        self.bf16 = mixed == "bf16"
        size = options.image_size
        self.method = make(create_backbone(options.backbone, image_size=size))
        self.method.to(device).to(memory_format=torch.channels_last)
        learned = [p for p in self.method.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(learned, lr=0.06, momentum=0.9, weight_decay=5e-4)
        self.loader = torch.utils.data.DataLoader(
            Pictures(images, self.method.transform(size)),
            batch_size=options.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )
        self._batches: Iterator[Any] | None = None

    def prepare(self) -> None:
        """Start the workers, and let them fill their queues."""
        self._batches = self._endless()
        # Two batches for each worker are ready by then; so many steps, and they are used up.
        self(2 * self.workers + 1)

    def finish(self) -> None:
        """Stop the workers."""
        assert self._batches is not None
        self._batches.close()

    def _endless(self) -> Iterator[list[Tensor]]:
        while True:
            yield from self.loader

    def __call__(self, steps: int) -> None:
        assert self._batches is not None
        for _ in range(steps):
            views = [
                view.to(self.device, non_blocking=True, memory_format=torch.channels_last)
                for view in next(self._batches)
            ]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                loss = self.method(*views)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def start(options: argparse.Namespace, watch: Stopwatch) -> Rows:
    """Wall seconds from the command to what its user waits for, each in a process of its own."""
    synthcl = [sys.executable, "-m", "synthcl.cli"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        torch.manual_seed(0)
        create_trainer("gan", options.image_size, preset="tiny").save_pretrained(folder / "gan")
        train = ["train", "--data", options.data, "--image-size", str(options.image_size), "--steps", "1"]
        train += ["--backbone", options.backbone, "--batch-size", str(options.batch_size), "--log-every", "1"]
        generate = ["generate", "--generator", str(folder / "gan"), "--num-samples", "1000"]
        waits: dict[str, tuple[list[str], str | None]] = {
            "python": ([sys.executable, "-c", "pass"], None),
            "help": ([*synthcl, "--help"], None),
            "python_with_torchvision": ([sys.executable, "-c", "import torch, torchvision"], None),
            "first_step": ([*synthcl, *train], "metrics.jsonl"),
            "first_shard": ([*synthcl, *generate], "*.tar"),
        }
        times: dict[str, list[float]] = {name: [] for name in waits}
        for round_ in range(-options.warmup, options.rounds):
            for name, (command, awaited) in waits.items():
                seconds = seconds_until(command, awaited, folder / f"{name}-{round_}")
                if round_ >= 0:
                    times[name].append(seconds)
    yield {"what": "start", **{f"{name}_s": spread(own) for name, own in times.items()}}


def seconds_until(command: list[str], awaited: str | None, out: Path) -> float:
    """Seconds until a command ends, or until a file of this pattern is in its folder and has something in it."""
    if awaited is not None:
        command = [*command, "--out", str(out)]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ) as process:
        while process.poll() is None:
            if awaited is not None and any(file.stat().st_size for file in out.glob(awaited)):
                seconds = time.perf_counter() - begun
                process.terminate()
                process.communicate()
                return seconds
            if time.perf_counter() - begun > GIVE_UP_SECONDS:
                process.kill()
                raise SystemExit(f"{' '.join(command)} was not there after {GIVE_UP_SECONDS} s")
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - begun
        _, said = process.communicate()
    if process.returncode or (awaited is not None and not any(out.glob(awaited))):
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}: {said.decode().strip()}")
    return seconds


PARTS: dict[str, Callable[[argparse.Namespace, Stopwatch], Rows]] = {
    "pipeline": pipeline,
    "probe": probe,
    "knn": knn,
    "start": start,
}

if __name__ == "__main__":
    main()
