"""What a shard set is made of, from the options of `synthcl generate`: drawn samples, or variations of real images."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from ...generators import Generator
from ...generators.fingerprint import fingerprint
from ..configs.generate import GenerateConfig
from ..data import open_images
from ..errors import UsageError
from ..shards.layout import LABEL_COLUMNS
from .opening import generator_options, open_generator
from .rendering import Renderer, Samples, Varier, sampling_key


def open_samples(config: GenerateConfig, device: torch.device) -> Samples:
    """Load the generator, and say what the set is to be made of.

    Raises:
        UsageError: options that the generator does not take.
        DataError: there is no generator, or images to vary cannot be read.
    """
    generator = open_generator(config.generator, device, config.generator_precision, **config.sampling_options())
    recipe = {
        "generator": {"class": type(generator).__name__, "weights": fingerprint(generator), **generator.recipe},
        "seed": config.seed,
        "image_size": generator.image_size,
        "pair_strength": None,
    }
    if generator.computes_in != "fp32":  # which is what sets without this entry were made in
        recipe["generator_precision"] = generator.computes_in
    renderer: Renderer | Varier
    if config.anchors is None:
        renderer, own = _renderer(config, generator, device)
        num_samples = config.num_samples
    else:
        renderer, own = _varier(config, config.anchors, generator, device)
        num_samples = config.num_samples or len(renderer.anchors) * (config.per_anchor or 0)
    assert num_samples, "the options say how many there are"
    described = renderer.describe(np.arange(1))
    if config.write_labels and not described:
        raise UsageError(
            f"--write-labels: the samples of {config.generator} are of no class and no prompt; leave it out"
        )
    labels = [name for name, column in LABEL_COLUMNS.items() if column in described and config.write_labels]
    return Samples(
        recipe | own,
        num_samples,
        renderer.begin,
        renderer.describe if described else None,
        tuple(described),
        tuple(labels),
    )


def _renderer(config: GenerateConfig, generator: Generator, device: torch.device) -> tuple[Renderer, dict[str, Any]]:
    """What draws the samples that the options ask for, and what of it belongs to the recipe.

    Raises:
        UsageError: groups that the generator does not have.
    """
    strength = config.pair_strength if config.group_by == "latent" else None
    own: dict[str, Any] = {}
    if config.group_size > 1:
        with generator_options():
            generator.check_group(strength)
        own["pair_strength"] = strength
        own |= {"group_by": "condition"} if strength is None else {}
    return Renderer(generator, sampling_key(config.seed), device, config.group_size, strength), own


def _varier(
    config: GenerateConfig, anchors: str, generator: Generator, device: torch.device
) -> tuple[Varier, dict[str, Any]]:
    """What makes variations of the images that --anchors names, and what of it belongs to the recipe.

    Raises:
        UsageError: a generator that has no variations, or classes that it does not know.
        DataError: images that cannot be read.
    """
    with generator_options():
        generator.check_variations(config.anchor_strength)
        store = open_images(anchors, image_size=generator.image_size, split="train", data_root=config.data_root)
        varier = Varier(generator, sampling_key(config.seed), device, store, config.anchor_strength, config.group_size)
        varier.describe(np.arange(min(len(store), config.num_samples or len(store))))
    whole, positions = store.origin()
    chosen = hashlib.sha256(np.ascontiguousarray(positions, dtype="<i8").tobytes()).hexdigest()
    return varier, {"anchors": {"images": whole, "chosen": chosen, "strength": config.anchor_strength}}
