"""Does torch.compile pay for a generator and its opponent? Compiled networks beside the same ones as they are.

    python benchmarks/compiled_generator.py --presets plain,tiny --image-size 16 --batch-size 64

Two contests, which alternate within each round: a pass through G and D and back, as half of a step of joint training
has, without penalties, whose second derivatives torch.compile does not take; and samples of G without gradients.
Seconds are of the process, or by the clock on an accelerator. The table goes to stderr, the JSON to stdout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from synthcl.generators.gan import GANTrainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="plain,tiny")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=20, help="of each in a round")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for preset in options.presets.split(",") for row in contests(preset, options)]
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()), file=sys.stderr)
    print(json.dumps({"options": vars(options), "torch": torch.__version__, "results": rows}))


def contests(preset: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time of the compiled networks over that of the others, by round."""
    plain, compiled = (make(preset, options, compiled=compiled) for compiled in (False, True))
    rows = []
    for what, work in (("there and back", there_and_back), ("samples", samples)):
        start = time.perf_counter()
        work(compiled, options.batch_size)
        compiling = time.perf_counter() - start
        ratios = []
        for round_ in range(-1, options.rounds):
            seconds = [timed(work, trainer, options) for trainer in (plain, compiled)]
            if round_ >= 0:  # the first is a warm-up
                ratios.append(seconds[1] / seconds[0])
        row = {"preset": preset, "what": what, "ratio": round(statistics.median(ratios), 3)}
        row |= {
            "least": round(min(ratios), 3),
            "most": round(max(ratios), 3),
            "seconds_to_compile": round(compiling, 1),
        }
        rows.append(row)
    return rows


def make(preset: str, options: argparse.Namespace, *, compiled: bool) -> GANTrainer:
    torch.manual_seed(0)
    trainer = GANTrainer.create(options.image_size, preset=preset, device=options.device)
    if compiled:
        for network in trainer.modules().values():
            network.compile(dynamic=False)
    return trainer


def there_and_back(trainer: GANTrainer, n: int) -> None:
    images = trainer.generator(trainer.generator.sample_latents(n))
    leaf = images.detach().requires_grad_()
    trainer.discriminator(leaf).sum().backward()
    images.backward(leaf.grad)


@torch.no_grad()
def samples(trainer: GANTrainer, n: int) -> None:
    trainer.ema(trainer.ema.sample_latents(n))


def timed(work: Callable[[GANTrainer, int], None], trainer: GANTrainer, options: argparse.Namespace) -> float:
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    start = clock()
    for _ in range(options.calls):
        work(trainer, options.batch_size)
    if options.device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


if __name__ == "__main__":
    main()
