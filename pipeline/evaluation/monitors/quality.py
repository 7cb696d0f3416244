"""`--eval-encoder`: how far a generator's samples are from real images, while it is trained.

Samples of the generator (in `pretrain` the average, which is what comes out; in joint training the raw G, which is what
hardness moves) and real images are compared in the features of a frozen encoder that has seen real images
alone, or of one of random weights (arXiv 2002.09797). Nothing is chosen by the numbers, and the run ends with the
weights that it would have without.

Shapes: N samples, and as many real images, F features.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....generators import Generator
from ...configs.regimes import BASELINE, REGIMES
from ...data import ImageStore, Permutation
from ...data.specs import held_out_split, parse_spec, split_of_file
from ...encoder import RANDOM_PREFIX, Encoder, load_encoder
from ...errors import DataError, UsageError
from ...randomness import Key
from ...runs.folder import RunFolder, read_config
from ..checkerboard import measure_checkerboard
from ..features import shared_features
from ..frechet import frechet_distance
from ..manifold import NEAREST_K, measure_manifold
from ..samples import GeneratorStore, PartStore
from ..task import find_home

log = logging.getLogger(__name__)

RECALL_SAMPLES = 2000
"""The most samples that precision and recall are measured on: their cost grows with the square. Ours."""
MEASURES = (
    "frechet_distance", "precision", "recall", "frechet_distance_real", "checkerboard", "checkerboard_real",
)  # fmt: skip


class QualityMonitor:
    """The distance of a generator's samples to real images.

    The samples are the first that `synthcl generate` writes with the run's seed: the same latents each time. The real
    images are drawn from the training images by the seed, and so are as many others, whose distance to them is the
    least that can be expected of samples.

    Args:
        encoder: of real images; see `open_real_encoder`.
        num_images: how many training images there are.
        num_samples: N; half of the training images if they are fewer.
        seed: of the run.
        device: where features are computed.

    Raises:
        UsageError: too few training images.
    """

    def __init__(self, encoder: Encoder, num_images: int, num_samples: int, seed: int, device: torch.device) -> None:
        self.num_samples = num_compared(num_images, num_samples)
        if self.num_samples <= encoder.num_features:
            log.warning(
                "%d samples are compared with as many real images, fewer than the encoder has features (%d): the "
                "Fréchet distance means little",
                self.num_samples,
                encoder.num_features,
            )
        self.encoder = encoder.to(device).to(memory_format=torch.channels_last)
        self.seed, self.device = seed, device
        # The name decides which images are drawn; another would change the numbers of runs that exist.
        order = Permutation(num_images, Key.from_seed(seed).child("evaluation", "online quality"))
        self.chosen = order(np.arange(2 * self.num_samples))
        self.real: Tensor | None = None
        self.distance_real: float | None = None
        self.checkerboard_real: float | None = None

    def __call__(self, generator: Generator, train: ImageStore) -> dict[str, float]:
        """`frechet_distance`, `precision`, `recall` and `checkerboard` of samples, and `frechet_distance_real` and
        `checkerboard_real`, of real images. A checkerboard's amplitude is in levels of 255 (see checkerboard.py); it is
        left out where samples and real images are of two sizes, which have not the same.

        The same in every process, each of which computes a share of the features.

        Args:
            generator: frozen; it is left as it is.
            train: the training images.

        Raises:
            RunStopped: features that are no numbers.
        """
        if self.real is None or self.distance_real is None:
            real, others = (PartStore(train, part) for part in np.split(self.chosen, 2))
            self.real = shared_features(self.encoder, real, self.device)
            self.distance_real = frechet_distance(self.real, shared_features(self.encoder, others, self.device))
            if generator.image_size == train.image_size:
                self.checkerboard_real = measure_checkerboard(real, self.device)
        samples = GeneratorStore(generator, "the generator", self.num_samples, self.seed, self.device)
        features = shared_features(self.encoder, samples, self.device)
        manifold = measure_manifold(self.real[:RECALL_SAMPLES], features[:RECALL_SAMPLES], NEAREST_K)
        values = [frechet_distance(self.real, features), manifold.precision, manifold.recall, self.distance_real]
        if self.checkerboard_real is not None:
            values += [measure_checkerboard(samples, self.device), self.checkerboard_real]
        return dict(zip(MEASURES, values, strict=False))


def num_compared(num_images: int, num_samples: int) -> int:
    """How many samples are compared with as many of `num_images` real images, and these with as many others.

    Raises:
        UsageError: too few images.
    """
    found = min(num_samples, num_images // 2)
    if found <= NEAREST_K:
        raise UsageError(
            f"--eval-encoder cannot be used with {num_images} images: it takes two parts of more than {NEAREST_K}"
        )
    return found


def open_real_encoder(path: str, image_size: int) -> Encoder:
    """The encoder that --eval-encoder names, in which samples can be compared with real images.

    An encoder of unknown origin, without the run that trained it, is taken, with a sentence in the log.

    Args:
        path: a run of `train`, an encoder's folder, or `random:BACKBONE`, of random weights that are always the same.
        image_size: of one of random weights.

    Raises:
        UsageError: one that has seen synthetic images, labels or images that are held out; an unknown backbone.
        DataError: there is none, or it is damaged.
    """
    option = f"--eval-encoder {path}"
    if path.startswith(RANDOM_PREFIX):
        try:
            return Encoder.random(path.removeprefix(RANDOM_PREFIX), image_size, seed=0)
        except ValueError as error:
            raise UsageError(f"{option}: {error}") from None
    if (_json(Path(path) / "run.json").get("command") or "").startswith("eval"):
        raise UsageError(f"{option} is a classifier that was trained with labels; {_WANTED}")
    if not Path(path).exists():
        raise DataError(f"{option}: there is no run {path}; {_WANTED}")
    encoder = load_encoder(path)
    home = find_home(path)
    try:
        config = read_config(home)
    except DataError:
        log.warning("%s has no run: what its encoder was trained on is not known", option)
        return encoder
    regime = _regime(home, config)
    if regime != BASELINE:
        raise UsageError(
            f"{option} was trained on synthetic images too (regime {regime}), and a generator may be good for it "
            f"alone; {_WANTED}"
        )
    if (RunFolder(home).result or {}).get("uses_labels") or config.get("learner") == "supcon":
        raise UsageError(f"{option} was trained with labels (--learner {config['learner']}); {_WANTED}")
    if (split := _held_out(str(config.get("data")))) is not None:
        raise UsageError(f"{option} was trained on the split {split} of {config['data']}, which is held out; {_WANTED}")
    return encoder


_WANTED = "give a run of `synthcl train` on the training images alone, without labels, or random:BACKBONE"


def _regime(home: Path, config: dict[str, Any]) -> str:
    """The regime of a run: by its result, or by its options where it has none yet."""
    result = RunFolder(home).result
    if result is not None and isinstance(result.get("regime"), str):
        return result["regime"]
    # Not by `TrainConfig.of_run`, which refuses a run whose other options are of another version.
    chosen = (entry.name for entry in REGIMES.values() if entry.selected_by and config.get(entry.selected_by))
    return next(chosen, BASELINE)


def _held_out(spec: str) -> str | None:
    """The split that a SPEC asks for, if it is one to score on; by its words alone, as the images may be gone."""
    parsed = parse_spec(spec)
    split = parsed.split or split_of_file(PurePath(parsed.location))
    return split if split is not None and held_out_split([split]) is not None else None


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
