"""From a generator to a shard set: samples that are a function of (weights, recipe, index)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...generators import Generator, GeneratorTrainer, OptionError, load_generator
from ...generators.fingerprint import fingerprint
from ..configs.generate import GenerateConfig
from ..data import open_images
from ..errors import DataError, UsageError
from ..files import write_folder
from ..hub.locations import is_hub_location
from ..options.config import takes_options
from ..progress.line import Progress
from ..randomness import Key
from ..runs.folder import check_finished, command_of
from ..runtime.distributed import create_accelerator
from ..runtime.precision import generator_precision
from ..shards import ShardSetInfo, write_shard_set
from ..shards.layout import LABEL_COLUMNS
from ..shards.set_files import open_files
from .ray_sets import write_on_ray
from .rendering import Renderer, Samples, Varier
from .slurm import submit_generation


@takes_options(GenerateConfig)
def generate(config: GenerateConfig) -> dict[str, Any]:
    """Write a shard set or this process's part of one, find it done, or have Slurm write it; see `synthcl generate`.

    Sample i is drawn from (seed, i) alone, so any number of processes, jobs and workers, and any number of
    interruptions, come to the same set.

    Returns:
        `out`, `num_samples`, `num_published`, `num_shards`, `bytes`, `complete`, `reused`, `written` and
        `existing` (samples of this process's part that are new, and that were there before), `recipe_hash`, `seconds`;
        with --executor slurm what `submit_generation` returns.
    """
    open_files(config.out)  # a URL that cannot be opened is told before anything is loaded
    if config.executor == "slurm":
        locate_generator(config.generator)  # wrong ones are told now, and not by every job
        return submit_generation(config)
    started = time.monotonic()
    info = write_on_ray(config, _open_in_worker) if config.executor == "ray" else _write_here(config)
    return {
        "out": str(info.path),
        "num_samples": info.num_samples,
        "num_published": info.num_published,
        "num_shards": info.num_shards,
        "bytes": info.size,
        "complete": info.complete,
        "reused": info.reused,
        "written": info.written,
        "existing": info.existing,
        "recipe_hash": info.recipe_hash,
        "seconds": round(time.monotonic() - started, 2),
    }


def _write_here(config: GenerateConfig) -> ShardSetInfo:
    """Write this process's part of the set."""
    accelerator = create_accelerator("fp32")
    samples = open_samples(config, accelerator.device)
    with Progress("generate", config.num_samples, "samples", enabled=accelerator.is_main_process) as progress:
        return write_shard_set(
            config.out,
            samples.recipe,
            config.num_samples,
            config.samples_per_shard,
            samples.render,
            images_per_sample=config.group_size,
            describe=samples.describe,
            labels=samples.labels,
            image_format=config.format,
            quality=config.quality,
            batch_size=config.batch_size,
            process_index=config.job_index * accelerator.num_processes + accelerator.process_index,
            num_processes=config.num_jobs * accelerator.num_processes,
            workers=config.workers,
            progress=lambda done, total: progress.update(done, total),
        )


def _open_in_worker(config: GenerateConfig) -> Samples:
    """What a worker of a cluster draws from, on its own device."""
    return open_samples(config, create_accelerator("fp32").device)


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
    else:
        renderer, own = _varier(config, config.anchors, generator, device)
    described = renderer.describe(np.arange(1))
    if config.write_labels and not described:
        raise UsageError(
            f"--write-labels: the samples of {config.generator} are of no class and no prompt; leave it out"
        )
    labels = [name for name, column in LABEL_COLUMNS.items() if column in described and config.write_labels]
    return Samples(recipe | own, renderer, renderer.describe if described else None, tuple(described), tuple(labels))


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
        varier.describe(np.arange(min(len(store), config.num_samples)))
    whole, positions = store.origin()
    chosen = hashlib.sha256(np.ascontiguousarray(positions, dtype="<i8").tobytes()).hexdigest()
    return varier, {"anchors": {"images": whole, "chosen": chosen, "strength": config.anchor_strength}}


def locate_generator(source: str) -> str:
    """What `load_generator` is to open: the generator inside a run of `pretrain` or `train`, a folder that one on the
    hub (`hf://USER/NAME`) was fetched to, or `source` as it is.

    Raises:
        DataError: a run that has no generator, or is being trained on.
    """
    if is_hub_location(source):
        from ..hub.fetching import MODEL_FILES, fetch

        return str(fetch(source, (MODEL_FILES,), "generator"))
    inside, command = Path(source) / "generator", command_of(source)
    if inside.is_dir():
        check_finished(Path(source), "generator")
    if inside.is_dir() or command is None:
        return str(inside) if inside.is_dir() else source
    if command == "pretrain":
        raise DataError(f"{source} is a run of `synthcl pretrain` that is not finished; run its command again first")
    kept = ", or a finished one of `synthcl train --online`" if command == "train" else ""
    raise DataError(
        f"{source} is a run of `synthcl {command}` and has no generator; give a run of `synthcl pretrain`{kept}"
    )


def save_generator(trainer: GeneratorTrainer, run: Path) -> None:
    """Put what `load_generator` opens into a run's folder, whole or not at all."""
    write_folder(run / "generator", lambda folder: trainer.save_pretrained(folder))


def open_generator(
    source: str, device: torch.device | str = "cpu", precision: str = "auto", **options: Any
) -> Generator:
    """A generator to draw from, frozen.

    Args:
        source: a run of `pretrain` or `train`, a generator's folder, a hub id, or `module:Class`.
        device: where to.
        precision: what it computes in, as --generator-precision.
        options: of the kind, such as `sampler`; see `load_generator`.

    Raises:
        UsageError: its kind does not take an option, or not with that value; or a precision that the device lacks.
        DataError: a run that has none.
        ValueError: there is none.
    """
    computes_in = generator_precision(precision, device)
    with generator_options():
        generator = load_generator(locate_generator(source), **options)
    generator.computes_in = computes_in
    return generator.to(device).eval().requires_grad_(False)


@contextmanager
def generator_options() -> Iterator[None]:
    """Has an option that a generator does not take be wrong usage."""
    try:
        yield
    except OptionError as error:
        raise UsageError(str(error)) from None


def sampling_key(seed: int) -> Key:
    """What the latents of generated samples are drawn from, by sample index."""
    return Key.from_seed(seed).child("generate")
