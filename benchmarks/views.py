"""How fast two views of each image are made: ours, and what else there is, side by side.

    python benchmarks/views.py --threads 1 --clock cpu

All make two views by MoCo v2's recipe without blur: random resized crop from 0.2, flip, colour jitter .4/.4/.4/.1 at
0.8, grayscale at 0.2. `plain` is the least that one would write: one affine grid sample and brightness, contrast and
saturation in one order for all, *without hue*. The contestants alternate, after a warm-up; a ratio is taken within each
round. The table goes to stderr, the JSON to stdout. kornia and lightly take part if they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import Tensor
from torch.nn import functional

from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views import PRESETS, Augmentation, multi_view

PRESET = "mocov2-cifar"
VIEWS = 2
RECIPE = PRESETS[PRESET]
STRENGTHS = (RECIPE.brightness, RECIPE.contrast, RECIPE.saturation, RECIPE.hue)

Contestant = Callable[[int], object]


def ours(images: Tensor, *, compiled: bool = False) -> Contestant:
    augmentation = Augmentation(PRESET, images.shape[-1], compiled=compiled)
    numbers = torch.arange(len(images), device=images.device)
    key = Key.from_seed(0)
    return lambda round_: multi_view(images, numbers, VIEWS, augmentation, key.child(round_))


def ours_with_gradient(images: Tensor, *, compiled: bool = False) -> Contestant:
    images = images.clone().requires_grad_()
    views = ours(images, compiled=compiled)
    return lambda round_: torch.autograd.grad(views(round_).sum(), images)


def plain(images: Tensor) -> Contestant:
    return lambda round_: [_plain_view(images) for _ in range(VIEWS)]


def _plain_view(images: Tensor) -> Tensor:
    n, device = len(images), images.device
    uniform = partial(torch.rand, n, device=device)
    area = RECIPE.crop_scale[0] + (1 - RECIPE.crop_scale[0]) * uniform()
    ratio = torch.exp((2 * uniform() - 1) * math.log(4 / 3))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = images.new_zeros(n, 2, 3)
    theta[:, 0, 0] = width * torch.where(uniform() < 0.5, -1.0, 1.0)
    theta[:, 0, 2], theta[:, 1, 2] = (1 - width) * (2 * uniform() - 1), (1 - height) * (2 * uniform() - 1)
    theta[:, 1, 1] = height
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    x = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    jittered = (uniform() < RECIPE.jitter).float()
    brightness, contrast, saturation = (
        (1 + s * (2 * uniform() - 1) * jittered)[:, None, None, None] for s in STRENGTHS[:3]
    )
    x = (x * brightness).clamp(0, 1)
    x = (x.mean((1, 2, 3), keepdim=True) * (1 - contrast) + x * contrast).clamp(0, 1)
    x = (x.mean(1, keepdim=True) * (1 - saturation) + x * saturation).clamp(0, 1)
    gray = (uniform() < RECIPE.grayscale)[:, None, None, None]
    return torch.where(gray, x.mean(1, keepdim=True), x)


def torchvision_per_sample(images: Tensor) -> Contestant:
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(images.shape[-1], scale=RECIPE.crop_scale, antialias=True),
            v2.RandomHorizontalFlip(RECIPE.flip),
            v2.RandomApply([v2.ColorJitter(*STRENGTHS)], p=RECIPE.jitter),
            v2.RandomGrayscale(RECIPE.grayscale),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    stored = (images * 255).round().to(torch.uint8)
    return lambda round_: torch.stack([transform(image) for image in stored for _ in range(VIEWS)])


def lightly(images: Tensor) -> Contestant:
    from lightly.transforms import MoCoV2Transform
    from torchvision.transforms.v2.functional import to_pil_image

    transform = MoCoV2Transform(input_size=images.shape[-1], gaussian_blur=0.0)
    stored = [to_pil_image(image) for image in images.cpu()]
    return lambda round_: [torch.stack(views) for views in zip(*map(transform, stored), strict=True)]


def kornia(images: Tensor) -> Contestant:
    from kornia import augmentation

    size = images.shape[-1]
    transform = augmentation.AugmentationSequential(
        augmentation.RandomResizedCrop((size, size), scale=RECIPE.crop_scale),
        augmentation.RandomHorizontalFlip(p=RECIPE.flip),
        augmentation.ColorJitter(*STRENGTHS, p=RECIPE.jitter),
        augmentation.RandomGrayscale(p=RECIPE.grayscale),
    )
    return lambda round_: [transform(images) for _ in range(VIEWS)]


CONTESTANTS: dict[str, Callable[[Tensor], Contestant]] = {
    "ours": ours,
    "ours, with gradient": ours_with_gradient,
    "plain, no hue": plain,
    "torchvision": torchvision_per_sample,
    "lightly": lightly,
    "kornia": kornia,
}
OPTIONAL = ("lightly", "kornia")
COMPILED = {
    "ours, compiled": partial(ours, compiled=True),
    "... with gradient": partial(ours_with_gradient, compiled=True),
}
"""With --compiled, beside the others."""


def seconds(contestant: Contestant, round_: int, clock: Callable[[], float], device: torch.device) -> float:
    """What one call takes, the device's work included."""
    start = clock()
    contestant(round_)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def measure(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Images (of two views each) a second, by contestant: median, quartiles, and the ratio to ours by round."""
    device, clock = torch.device(options.device), time.process_time if options.clock == "cpu" else time.perf_counter
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(options.batch_size, 3, options.size, options.size, generator=generator).to(device)
    contestants = {
        name: make(images)
        for name, make in (CONTESTANTS | (COMPILED if options.compiled else {})).items()
        if name not in OPTIONAL or importlib.util.find_spec(name) is not None
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(-options.warmup, options.rounds):
        for name, contestant in contestants.items():
            elapsed = seconds(contestant, round_, clock, device)
            if round_ >= 0:
                times[name].append(elapsed)
    return {name: summary(times[name], times["ours"], options.batch_size) for name in times}


def summary(times: list[float], reference: list[float], num_images: int) -> dict[str, float]:
    rates = [num_images / t for t in times]
    ratios = [t / r for t, r in zip(times, reference, strict=True)]
    low, middle, high = statistics.quantiles(rates, n=4)
    ratio_low, ratio, ratio_high = statistics.quantiles(ratios, n=4)
    return {
        "images_per_second": round(middle, 1),
        "lower_quartile": round(low, 1),
        "upper_quartile": round(high, 1),
        "ours_is_faster_by": round(ratio, 2),
        "ratio_lower_quartile": round(ratio_low, 2),
        "ratio_upper_quartile": round(ratio_high, 2),
    }


def table(results: dict[str, dict[str, float]]) -> str:
    lines = [f"{'':<22}{'images/s':>10}  {'quartiles':<20}{'time / ours':>12}  quartiles"]
    for name, r in results.items():
        spread = f"{r['lower_quartile']:.0f} - {r['upper_quartile']:.0f}"
        ratios = f"{r['ratio_lower_quartile']:.2f} - {r['ratio_upper_quartile']:.2f}"
        lines.append(
            f"{name:<22}{r['images_per_second']:>10.0f}  {spread:<20}{r['ours_is_faster_by']:>12.2f}  {ratios}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32, help="pixels a side, of images and views")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--compiled", action="store_true", help="views of compiled code too; it takes minutes to compile"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu where others share the processor")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = measure(options)
    print(table(results), file=sys.stderr)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "python": platform.python_version()}
    print(json.dumps({"options": vars(options), "versions": versions, "results": results}))


if __name__ == "__main__":
    main()
