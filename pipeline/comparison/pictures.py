"""Strips of images for the report, at their own size, as PNG data in the page.

Shapes: n images a row, S pixels a side.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from ..configs.regimes import REGIMES
from ..data import ImageStore, open_images
from ..encoder import Encoder
from ..errors import DataError, UsageError
from ..generation.opening import open_generator
from ..generation.rendering import samples_to_bytes
from ..images.grids import read_grid
from ..randomness import Key
from ..regimes.fresh import samples_key
from ..shards import open_shard_set
from .runs import ComparedRun, by_arm

log = logging.getLogger(__name__)

PER_ROW = 8
"""Images a row: a row of a snapshot."""
MAX_TIMES = 5
"""Moments of a training that are shown. Ours."""


@dataclass(frozen=True)
class Strip:
    """Rows of images with words.

    Attributes:
        title: what is shown.
        alt: for those who do not see it.
        source: a `data:` URI of a PNG.
        width, height: pixels of it.
    """

    title: str
    alt: str
    source: str
    width: int
    height: int


def strips(runs: list[ComparedRun], data: str, data_root: str | None) -> list[Strip]:
    """Real images, pairs of the offline sets, and pairs of G and G_ema over the first training of each joint arm.

    Synthetic ones have the real images below them, to be seen beside each other when a strip is enlarged.
    """
    found, real = [], None
    size = _image_size(runs)
    try:
        real = _real_images(open_images(data, image_size=size, split="train", data_root=data_root))
        found.append(_strip("real images", "Real images of the training set.", real))
        found += [_shards(run, real) for run in _first(runs, lambda run: REGIMES[run.regime].source == "set")]
    except (UsageError, DataError, OSError) as error:
        log.warning("the report has no picture of: %s", error)
    for run in _first(runs, lambda run: REGIMES[run.regime].learns):
        found += _over_time(run, size, real)
    return found


def _first(runs: list[ComparedRun], wanted: Callable[[ComparedRun], bool]) -> list[ComparedRun]:
    """The first run of each arm whose runs are wanted."""
    return [own[0] for own in by_arm(runs).values() if wanted(own[0])]


def _image_size(runs: list[ComparedRun]) -> int:
    return Encoder.load(runs[0].path).image_size


def _real_images(store: ImageStore) -> Tensor:
    return store.read(range(min(PER_ROW, len(store)))).cpu()


def _shards(run: ComparedRun, real: Tensor | None) -> Strip:
    shards = open_shard_set(run.config.shards[0], where=run.config.where)
    views = shards.read_views(range(min(PER_ROW, len(shards))))  # (n, V, 3, S, S)
    images = views.transpose(0, 1).flatten(0, 1)
    words = "the second row is the other image of each pair" if views.shape[1] == 2 else "one image a latent"
    return _strip(f"{run.name}: samples of the set ({words})", f"Images of the set of {run.name}.", images, real)


def _over_time(run: ComparedRun, size: int, real: Tensor | None = None) -> list[Strip]:
    """A strip for each moment, of the same latents each time: G above, G_ema below; without pairs G alone."""
    files = sorted((run.path / "samples").glob("*.png"))
    if len(files) > MAX_TIMES:
        files = [files[round(i * (len(files) - 1) / (MAX_TIMES - 1))] for i in range(MAX_TIMES)]
    start = _start(run, real)
    found = [] if start is None else [start]
    for file in files:
        step = int(file.stem)
        if run.config.pairs:
            title = f"{run.name}, step {step:,}: G above, G_ema below"
            words = f"Samples of G above those of G_ema for the same latents after step {step}."
        else:
            title, words = f"{run.name}, step {step:,}: G", f"Samples of G after step {step}."
        images = read_grid(file, size, PER_ROW * (2 if run.config.pairs else 1))
        found.append(_strip(title, words, images, real))
    return found


def _start(run: ComparedRun, real: Tensor | None) -> Strip | None:
    """What joint training begins with: G and G_ema are the same. None if the generator is not there any more."""
    assert run.config.generator is not None, "an online run has one"
    try:
        generator = open_generator(run.config.generator, **run.config.sampling_options())
    except (ValueError, OSError) as error:
        log.warning("the report does not show the generator that %s began with: %s", run.name, error)
        return None
    draws = samples_key(Key.from_seed(run.seed)).child("snapshot").at(torch.arange(PER_ROW))
    with torch.no_grad():
        images = samples_to_bytes(generator(generator.sample_latents(PER_ROW, draws=draws)))
    title = f"{run.name}, step 0: G and G_ema are the pretrained generator"
    return _strip(title, "Samples before joint training.", images, real)


def _strip(title: str, alt: str, images: Tensor, real: Tensor | None = None) -> Strip:
    """Images (n, 3, S, S) uint8, `PER_ROW` a row, and the real ones in a row below them."""
    if real is not None and images.shape[0] % PER_ROW == 0 and real.shape[1:] == images.shape[1:]:
        images, title, alt = torch.cat((images, real)), f"{title}; real below", f"{alt} Below them real images."
    # Between the images the page shows through, light or dark.
    opaque = torch.cat((images, torch.full_like(images[:, :1], 255)), dim=1)
    picture = to_pil_image(make_grid(opaque, nrow=PER_ROW, padding=1, pad_value=0), mode="RGBA")
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Strip(title, alt, source, *picture.size)
