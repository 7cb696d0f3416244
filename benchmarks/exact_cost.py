"""What exactness costs: a checkpoint, and randomness by counter in place of a generator with a state.

    python benchmarks/exact_cost.py [--steps 12]

Trains on digits at 32 pixels (resnet10-w16, 64 images a step), in the regimes `real` and `online`, SimCLR and MoCo, and
adds up the CPU time of the steps, of all random numbers and of the order of the images in them, and of what torch's
global generator would have taken for as many numbers of the same kinds. Then the time of saving: wall time, as it waits
for the disk. `percent` is of the whole run, with a checkpoint every 1,000 steps, the default. The first steps are left
out. Prints one JSON object.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data.order import GlobalOrder
from synthcl.pipeline.randomness import Draws
from synthcl.pipeline.runs import loop
from synthcl.pipeline.training import pretrain as pretraining
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.training.train import train

IMAGES = {"data": "digits", "image_size": 32}
CHECKPOINT_EVERY = 1000
WARM_UP = 5
STATEFUL = {"uniform": torch.rand, "normal": torch.randn, "integers": lambda *shape: torch.randint(2**31, shape)}
"""torch's own for the same numbers."""


class Clock:
    """Seconds by name. What is inside another measured call counts for the outer one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.inside = False

    def wrap(self, owner: Any, method: str, name: str, clock: Callable[[], float] = time.process_time) -> None:
        original = getattr(owner, method)

        def timed(*arguments: Any, **options: Any) -> Any:
            if self.inside:
                return original(*arguments, **options)
            self.inside, began = name != "step", clock()
            try:
                return original(*arguments, **options)
            finally:
                self.inside = False
                self.seconds[name].append(clock() - began)

        setattr(owner, method, timed)

    def wrap_draws(self, kind: str) -> None:
        """The numbers of one kind, and right afterwards, not counted in the step, as many of torch's own."""
        original = getattr(Draws, kind)

        def timed(draws: Draws, *arguments: Any) -> Any:
            began = time.process_time()
            numbers = original(draws, *arguments)
            between = time.process_time()
            STATEFUL[kind](*numbers.shape)
            ended = time.process_time()
            self.seconds["draws"].append(between - began)
            self.seconds["torch's draws"].append(ended - between)
            return numbers

        setattr(Draws, kind, timed)


def measure(regime: str, learner: str, steps: int, clock: Clock, folder: Path) -> dict[str, Any]:
    """One training; see above."""
    source = {"online": True, "generator": str(folder / "gan")} if regime == "online" else {}
    name = f"{regime}-{learner}"
    config = TrainConfig(
        **IMAGES, **source, learner=learner, backbone="resnet10-w16", batch_size=64, precision="fp32",
        steps=WARM_UP, checkpoint_every=WARM_UP, out=str(folder / name),
    )  # fmt: skip
    train(config)
    clock.seconds.clear()
    config.steps = WARM_UP + steps
    train(config)
    total = {name: sum(values) for name, values in clock.seconds.items()}
    step = (total["step"] - total["torch's draws"]) / steps
    saves = clock.seconds["save"]
    save = statistics.median(saves) + statistics.median(clock.seconds["check"])
    randomness = (total["draws"] + total["order"] - total["torch's draws"]) / steps
    newest = sorted((folder / name / "checkpoints").iterdir())[-1]
    return {
        "step_ms": round(step * 1e3, 1),
        "draws_ms": round(total["draws"] / steps * 1e3, 2),
        "order_ms": round(total["order"] / steps * 1e3, 2),
        "torch_draws_ms": round(total["torch's draws"] / steps * 1e3, 2),
        "percent_for_determinism": round(100 * randomness / step, 2),
        "checkpoint_mb": round(sum(file.stat().st_size for file in newest.iterdir()) / 1e6, 1),
        "checkpoint_ms": [round(value * 1e3) for value in (save, min(saves), max(saves))],
        "percent_for_checkpoints": round(100 * save / (CHECKPOINT_EVERY * step + save), 3),
        "checkpoints_timed": len(saves),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    clock = Clock()
    for kind in STATEFUL:
        clock.wrap_draws(kind)
    clock.wrap(TrainingStep, "__call__", "step")
    clock.wrap(GlobalOrder, "indices", "order")
    clock.wrap(loop, "save_checkpoint", "save", time.perf_counter)
    clock.wrap(loop._Watch, "check_state", "check", time.perf_counter)
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pretraining.pretrain(PretrainConfig(**IMAGES, preset="tiny", batch_size=16, steps=2, out=str(folder / "gan")))
        for regime in ("real", "online"):
            for learner in ("simclr", "moco"):
                results[f"{regime}-{learner}"] = measure(regime, learner, options.steps, clock, folder)
                print(results[f"{regime}-{learner}"], file=sys.stderr, flush=True)
    print(json.dumps({"torch": torch.__version__, "steps": options.steps, "settings": results}, indent=2))


if __name__ == "__main__":
    main()
