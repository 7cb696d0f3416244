"""`eval quality`: how good, how varied and how original synthetic images are, in the features of a frozen encoder.

Shapes: N real, M generated and H held-out images, F features.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..configs.evaluate import QualityConfig
from ..data import ImageStore, open_images, test_spec
from ..data.store import unlabelled
from ..encoder import RANDOM_PREFIX, Encoder, load_encoder
from ..errors import DataError, UsageError
from ..randomness import Key
from ..runs.folder import read_config
from ..shards.side_tables import check_free, write_side_table
from .calling import takes_data_and_options
from .checkerboard import checkerboard_warning, measure_checkerboard
from .features import cached_features, choose_device
from .frechet import frechet_distance, frechet_distances
from .manifold import Manifold, measure_manifold
from .memorisation import Memorisation, measure_memorisation
from .results import options_of, record_result
from .samples import DRAWN_SAMPLES, is_shard_set, open_samples, random_part
from .task import find_home

log = logging.getLogger(__name__)

CLASS_MEASURES = (
    "class",
    "num_real",
    "num_generated",
    "precision",
    "recall",
    "density",
    "coverage",
    "frechet_distance",
)
"""What `--per-class` tells of each class."""


@dataclass
class _Images:
    """The three sets of images and their features."""

    stores: dict[str, ImageStore]
    features: dict[str, Tensor]


@takes_data_and_options(QualityConfig)
def evaluate_quality(source: str | Path, config: QualityConfig) -> dict[str, Any]:
    """Measure synthetic images against real ones.

    Args:
        source: a shard set, a generator, or any images.
        config: the options, or they by name: `evaluate_quality("shards/c10", "cifar10", encoder="runs/real")`.

    Returns:
        `precision`, `recall`, `density`, `coverage` (see manifold.py), `frechet_distance`, `frechet_distance_as_many`
        and `frechet_distance_held_out` (see frechet.py); `authenticity`, `nearer_to_train`, `nearer_than_held_out`,
        `train_distance`, `held_out_distance` (see memorisation.py); `checkerboard` and `checkerboard_real` (see
        checkerboard.py), None if the images are of two sizes; `encoder`, `encoder_hash`, `num_generated`, `num_real`,
        `num_held_out`, `seconds`, `warnings` and the options. With `per_class` also `by_class`, a row for each class
        that either kind has: `class`, `num_real`, `num_generated`, and `precision`, `recall`, `density`, `coverage` and
        `frechet_distance`, None where a class has no more than `k` images.

    Raises:
        UsageError: options that cannot be used.
        DataError: something that cannot be read, or too few images.
    """
    started = time.monotonic()
    if config.scores is not None and not is_shard_set(str(source)):
        raise UsageError(f"--scores is for shard sets; {source} is none")
    if config.scores is not None:
        check_free(source, config.scores, overwrite=config.overwrite)
    encoder, warnings = open_quality_encoder(str(source), config)
    images = _open(str(source), config, encoder)
    if config.per_class:
        _check_labels(images)
    real, generated, held_out = (
        images.features["real"], images.features["generated"], images.features.get("held_out")
    )  # fmt: skip
    warnings += _check_sizes(real, generated, held_out, config.k)
    by_class = _by_class(images, config.k) if config.per_class else []
    warnings += _check_classes(by_class, real.shape[1])
    manifold = measure_manifold(real, generated, config.k)
    memorisation = measure_memorisation(generated, real, held_out)
    distances = frechet_distances(real, generated, held_out, _key(config).child("as many"))
    if config.scores is not None:
        every = images.features.pop("every")
        scores = sample_scores(measure_manifold(real, every, config.k), measure_memorisation(every, real, held_out))
        write_side_table(source, config.scores, scores, overwrite=config.overwrite)
    boards = _checkerboards(images)
    if boards is not None and (sentence := checkerboard_warning(*boards)):
        warnings.append(sentence)
    for warning in warnings:
        log.warning(warning)
    result = {
        "task": "quality",
        "source": str(source),
        **_measures(manifold, memorisation, distances),
        **dict(zip(("checkerboard", "checkerboard_real"), boards or (None, None), strict=True)),
        **({"by_class": by_class} if config.per_class else {}),
        **{f"num_{name}": len(features) for name, features in images.features.items()},
        **options_of(config),
        "data": images.stores["real"].name,
        "encoder_hash": encoder.weights_hash(),
        "seconds": round(time.monotonic() - started, 3),
        "warnings": warnings,
    }
    home = _home(config)
    return record_result(home, result, ("source", *options_of(config))) if home is not None else result


def _checkerboards(images: _Images) -> tuple[float, float] | None:
    """The amplitude in generated and in real images; None if they are of two sizes, on which it depends."""
    generated, real = (images.stores[name] for name in ("generated", "real"))
    if generated.image_size != real.image_size:
        return None
    cpu = torch.device("cpu")
    return measure_checkerboard(generated, cpu), measure_checkerboard(real, cpu)


def _by_class(images: _Images, k: int) -> list[dict[str, Any]]:
    """The measures of each class by itself."""
    labels = {name: images.stores[name].labels for name in ("real", "generated")}
    rows = []
    for number in np.unique(np.concatenate(list(labels.values()))).tolist():
        real, generated = (images.features[name][torch.from_numpy(labels[name] == number)] for name in labels)
        row: dict[str, Any] = {"class": number, "num_real": len(real), "num_generated": len(generated)}
        if min(len(real), len(generated)) > k:
            manifold = measure_manifold(real, generated, k)
            row |= {name: getattr(manifold, name) for name in ("precision", "recall", "density", "coverage")}
            row["frechet_distance"] = frechet_distance(real, generated)
        rows.append(row)
    return [{**dict.fromkeys(CLASS_MEASURES), **row} for row in rows]


def _check_classes(rows: list[dict[str, Any]], num_features: int) -> list[str]:
    """What to be warned of in the numbers of single classes."""
    few = [row["class"] for row in rows if min(row["num_real"], row["num_generated"]) <= num_features]
    if not few:
        return []
    return [
        f"fewer images than features ({num_features}) in {len(few)} of {len(rows)} classes: their Fréchet distances "
        "mean little"
    ]


def _check_labels(images: _Images) -> None:
    """Raises UsageError unless real and generated images have labels, of which some are the same."""
    known = {}
    for name in ("real", "generated"):
        store = images.stores[name]
        if store.labels is None:
            raise UsageError(f"--per-class: {unlabelled(store.name, store.labels_problem)}; leave it out")
        known[name] = set(store.labels.tolist())
    if not known["real"] & known["generated"]:
        raise UsageError("--per-class: no class of the generated images is one of the real images; leave it out")


def _check_sizes(real: Tensor, generated: Tensor, held_out: Tensor | None, k: int) -> list[str]:
    """What to be warned of. Raises DataError if there are no k neighbours, or one held-out image alone."""
    fewest, num_features = min(len(real), len(generated)), real.shape[1]
    if fewest <= k:
        raise DataError(
            f"{len(generated)} generated and {len(real)} real images are too few for --k {k}; give more images"
        )
    if held_out is not None and len(held_out) < 2:
        raise DataError("there is one held-out image; give two images or more with --held-out-data")
    if fewest <= num_features:
        return [f"fewer images than features ({num_features}): the Fréchet distance means little"]
    if held_out is not None and len(held_out) <= num_features:
        return [f"fewer held-out images than features ({num_features}): their Fréchet distance means little"]
    return []


def sample_scores(manifold: Manifold, memorisation: Memorisation) -> dict[str, np.ndarray]:
    """What is known of each generated sample, by column of a side table."""
    columns = {
        "inside": manifold.inside,
        "density": manifold.balls.float() / manifold.k,
        "train_distance": memorisation.train_gap,
        "authentic": memorisation.authentic,
    }
    return {name: values.cpu().numpy() for name, values in columns.items()}


def open_quality_encoder(source: str, config: QualityConfig) -> tuple[Encoder, list[str]]:
    """The encoder that `--encoder` names, and what to be warned of.

    Args:
        source: what is measured, whose size one of random weights has where the real images have none of their own.
        config: the options.

    Raises:
        UsageError: an unknown backbone after `random:`, or images on neither side that are square and of one size.
        DataError: no encoder there.
    """
    if not config.encoder.startswith(RANDOM_PREFIX):
        return load_encoder(config.encoder), _attacked(config.encoder)
    name = config.encoder.removeprefix(RANDOM_PREFIX)
    size = _own_size(source, config)
    try:
        return Encoder.random(name, size, config.seed), []
    except ValueError as error:
        raise UsageError(f"--encoder {config.encoder}: {error}") from None


def _own_size(source: str, config: QualityConfig) -> int:
    """Pixels a side of the real images, or else, if they are not all of one size, of the generated ones."""
    try:
        return open_images(config.data, split="train", data_root=config.data_root).image_size
    except DataError:
        pass
    of_samples = (source, config.num_samples, config.seed, torch.device("cpu"))
    try:
        return open_samples(*of_samples, data_root=config.data_root).image_size
    except DataError:
        open_samples(*of_samples, image_size=1, data_root=config.data_root)  # what is not there says so itself
        raise UsageError(
            f"--encoder {config.encoder} has the size of the images, and neither {config.data} nor {source} has images "
            "that are square and of one size; give --encoder RUN, to whose size they are brought"
        ) from None


def _attacked(run: str) -> list[str]:
    """A generator that was trained against an encoder can be good for that one alone."""
    try:
        online = read_config(find_home(run)).get("online")
    except DataError:
        return []
    warning = f"the encoder {run} was trained online, with a generator that worked against it; take a real-only encoder"
    return [warning] if online else []


def _open(source: str, config: QualityConfig, encoder: Encoder) -> _Images:
    device = choose_device()
    key = _key(config)
    limit = config.num_samples or DRAWN_SAMPLES
    size = encoder.image_size
    generated = open_samples(source, config.num_samples, config.seed, device, size, config.data_root)
    real = open_images(config.data, image_size=size, split="train", data_root=config.data_root)
    scored = config.held_out_data or test_spec(config.data)
    stores = {"real": random_part(real, limit, key.child("real"))}
    stores["generated"] = random_part(generated, limit, key.child("generated"))
    if config.scores is not None:
        stores["every"] = generated  # a side table has a row for each sample of the set
    if scored is not None:
        held_out = open_images(scored, image_size=size, split="test", data_root=config.data_root)
        stores["held_out"] = random_part(held_out, limit, key.child("held out"))
    home = _home(config)
    features: dict[str, Tensor] = {}
    for name in sorted(stores, key=lambda name: name != "every"):
        if name == "generated" and "every" in features:  # no image is encoded twice
            positions = torch.from_numpy(stores[name].origin()[1]).to(device)
            features[name] = features["every"][positions]
            continue
        place = home and home / "cache" / "features"
        found = cached_features(encoder, stores[name], place, batch_size=config.batch_size, device=device)
        features[name] = found.to(device)
    return _Images(stores, features)


def _key(config: QualityConfig) -> Key:
    return Key.from_seed(config.seed).child("evaluation", "quality")


def _measures(
    manifold: Manifold, memorisation: Memorisation, distances: dict[str, float | None]
) -> dict[str, float | None]:
    return {
        "precision": manifold.precision,
        "recall": manifold.recall,
        "density": manifold.density,
        "coverage": manifold.coverage,
        **distances,
        **memorisation.summary(),
    }


def _home(config: QualityConfig) -> Path | None:
    """The folder of the encoder, where features and results are kept; None for a random one."""
    return None if config.encoder.startswith(RANDOM_PREFIX) else find_home(config.encoder)
