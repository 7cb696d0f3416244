"""How fast generators draw, by solver and number of steps, and how good what they draw is: GAN beside diffusion.

    python benchmarks/generators.py runs/gan runs/diffusion --data digits --encoder runs/real --clock cpu
    python benchmarks/generators.py gan:tiny:32 diffusion:tiny:32 diffusion:base:32 --batch-size 16

A generator is what `synthcl generate` takes, or KIND:PRESET:SIZE for untrained weights, of which the speed alone is
measured. A diffusion generator is tried with every solver of `--solvers`. They alternate, after a warm-up, drawing as
`generate` draws, latents and rounding included, writing excluded. With `--data` each draws a set of samples too, which
is measured as `synthcl eval quality` does; `--picture` shows them beside real images, and `--pair-strengths` says how
far the two images of a pair are apart. Tables go to stderr, the JSON to stdout.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import numpy as np
import torch
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier
from torchvision.utils import make_grid

from synthcl.generators import Generator, create_trainer
from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.evaluation import evaluate_quality
from synthcl.pipeline.generation.generate import generate
from synthcl.pipeline.generation.opening import open_generator
from synthcl.pipeline.generation.rendering import Renderer, sampling_key

FRESH = re.compile(r"(?P<kind>[a-z]+):(?P<preset>[a-z]+):(?P<size>\d+)")
NUM_PAIRS = 200
PICTURE = (6, 8)  # rows and columns of a panel
MEASURES = ("precision", "recall", "density", "coverage", "frechet_distance")


class Contestant(NamedTuple):
    """A generator with a solver."""

    source: str
    solver: dict[str, Any]
    generator: Generator
    device: torch.device
    precision: str | None = None
    """What it computes in, where that is told apart."""

    @property
    def name(self) -> str:
        told_apart = [self.precision] if self.precision is not None else []
        return " ".join([Path(self.source).name, *map(str, self.solver.values()), *told_apart])

    def seconds(self, round_: int, batch_size: int, clock: Callable[[], float]) -> float:
        """What one batch takes, the device's work included."""
        render = Renderer(self.generator, sampling_key(0), self.device)
        start = clock()
        render(np.arange(batch_size) + max(round_, 0) * batch_size)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return clock() - start

    def quality(self, options: argparse.Namespace) -> dict[str, float]:
        """`eval quality` of the first samples."""
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "set")
            generate(
                GenerateConfig(
                    generator=self.source, num_samples=options.num_samples, out=out, workers=0, **self.solver
                )
            )
            result = evaluate_quality(out, options.data, encoder=options.encoder)
        return {name: round(result[name], 4) for name in (*MEASURES, "frechet_distance_held_out")}


def contestants(options: argparse.Namespace) -> list[Contestant]:
    """Every generator, as often as there are solvers for it."""
    device = torch.device(options.device)
    found = []
    for source in options.generators:
        solvers = [{}]
        if hasattr(open_one(source, device), "sampler"):
            pairs = (solver.split(":") for solver in options.solvers.split(","))
            solvers = [{"sampler": sampler, "sampling_steps": int(steps)} for sampler, steps in pairs]
        for solver in solvers:
            generator = open_one(source, device, **solver)
            if not options.precisions:
                found.append(Contestant(source, solver, generator, device))
            for precision in options.precisions.split(",") if options.precisions else ():
                own = copy.deepcopy(generator)
                own.computes_in = precision
                found.append(Contestant(source, solver, own, device, precision))
    return found


def open_one(source: str, device: torch.device, **solver: Any) -> Generator:
    if fresh := FRESH.fullmatch(source):
        torch.manual_seed(0)
        return create_trainer(fresh["kind"], int(fresh["size"]), preset=fresh["preset"], device=device, **solver).ema
    return open_generator(source, device, **solver)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each contestant."""
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    tried = contestants(options)
    times: list[list[float]] = [[] for _ in tried]
    for round_ in range(-options.warmup, options.rounds):
        for contestant, own in zip(tried, times, strict=True):
            seconds = contestant.seconds(round_, options.batch_size, clock)
            if round_ >= 0:
                own.append(seconds)
    rows = []
    for contestant, own in zip(tried, times, strict=True):
        low, middle, high = statistics.quantiles([options.batch_size / seconds for seconds in own], n=4)
        rates = {"samples_per_second": middle, "lower_quartile": low, "upper_quartile": high}
        row = {"name": contestant.name, **{name: round(rate, 2) for name, rate in rates.items()}}
        measured = options.data is not None and not options.precisions and not FRESH.fullmatch(contestant.source)
        rows.append(row | (contestant.quality(options) if measured else {}))
    return rows


def measure_pairs(options: argparse.Namespace, strengths: list[float]) -> list[dict[str, Any]]:
    """What each contestant's pairs are like: RMS difference in levels of 255, and how often both look like one class.

    What an image looks like is what most of its three nearest real images are, in pixels.
    """
    tried = contestants(options)
    real = open_images(options.data, split="train", image_size=tried[0].generator.image_size)
    pixels = real.read(np.arange(len(real))).float().flatten(1).numpy()
    looks_like = KNeighborsClassifier(3).fit(pixels, real.labels).predict
    rows = []
    for contestant in tried:
        for strength in strengths:
            render = Renderer(contestant.generator, sampling_key(0), contestant.device, 2, strength)
            first, second = render(np.arange(NUM_PAIRS)).float().cpu().flatten(2).unbind(1)
            rms = (first - second).square().mean(1).sqrt().mean().item()
            same = (looks_like(first.numpy()) == looks_like(second.numpy())).mean().item()
            rows.append({"name": contestant.name, "strength": strength, "rms": round(rms, 1), "same_class": same})
    return rows


def draw_picture(options: argparse.Namespace) -> None:
    """Real images and each generator's first samples, with its own solver, side by side."""
    from matplotlib.figure import Figure

    cpu = torch.device("cpu")
    renders = {Path(s).name: Renderer(open_one(s, cpu), sampling_key(0), cpu) for s in options.generators}
    real = open_images(options.data, split="train", image_size=next(iter(renders.values())).generator.image_size)
    numbers = np.arange(PICTURE[0] * PICTURE[1])
    panels = {"real": real.read(numbers * len(real) // len(numbers))}
    panels |= {name: render(numbers)[:, 0] for name, render in renders.items()}
    figure = Figure(figsize=(3 * len(panels), 2.6), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        grid = make_grid(images, nrow=PICTURE[1], padding=1, pad_value=255).permute(1, 2, 0)
        axes.imshow(grid.numpy(), interpolation="nearest")
        axes.set_title(name)
        axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    Image.open(buffer).convert("RGB").quantize(64).save(options.picture, optimize=True)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'':<32}{'samples/s':>10}  {'quartiles':<20}" + "".join(f"{name:>18}" for name in MEASURES)]
    for row in rows:
        spread = f"{row['lower_quartile']:.1f} - {row['upper_quartile']:.1f}"
        cells = "".join(f"{row[name]:>18.3f}" if name in row else f"{'-':>18}" for name in MEASURES)
        lines.append(f"{row['name']:<32}{row['samples_per_second']:>10.1f}  {spread:<20}{cells}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="+", metavar="GENERATOR", help="a run, a pipeline, or KIND:PRESET:SIZE")
    parser.add_argument("--solvers", default="dpm:5,dpm:10,dpm:20,ddim:10,ddim:20,ddim:50", help="SAMPLER:STEPS,...")
    parser.add_argument("--precisions", default="", help="of fp32, bf16: the speed of each, without quality")
    parser.add_argument("--data", help="SPEC of the real images; without it the speed alone is measured")
    parser.add_argument("--encoder", default="random:resnet18", help="as for `synthcl eval quality`")
    parser.add_argument("--num-samples", type=int, default=1442, help="to measure the quality of")
    parser.add_argument("--pair-strengths", default="", metavar="S,...", help="measure pairs too, with labeled --data")
    parser.add_argument("--picture", metavar="FILE.png", help="draw samples beside real images, with --data")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu where others share the processor")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = measure(options)
    print(table(rows), file=sys.stderr)
    strengths = [float(strength) for strength in options.pair_strengths.split(",") if strength]
    pairs = measure_pairs(options, strengths) if strengths else []
    for row in pairs:
        print("  ".join(f"{name} {value}" for name, value in row.items()), file=sys.stderr)
    if options.picture:
        draw_picture(options)
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__, "python": platform.python_version()}
    print(json.dumps({"options": vars(options), "versions": versions, "results": rows, "pairs": pairs}))


if __name__ == "__main__":
    main()
