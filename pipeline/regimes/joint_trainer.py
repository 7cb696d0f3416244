"""The trainer of the generator that learns along with the encoder."""

from __future__ import annotations

import torch
from torch import Tensor

from ...generators import Generator, GeneratorTrainer, kind_of, load_trainer
from ..errors import UsageError
from ..generation.locating import locate_generator
from ..generation.opening import generator_options
from ..randomness import Key
from ..runs.folder import AS_PRETRAINED, AUTO
from ..runtime.distributed import average_gradients
from ..runtime.precision import generator_precision
from .base import check_generator_size
from .setup import RegimeSetup

AUGMENT = "colour,translation,cutout"
"""What the discriminator of joint training sees is augmented by where it sees each real image often: all of DiffAugment
(arXiv 2006.10738)."""
MANY_PASSES = 100
"""More passes of the discriminator over the real images than these are many. After 500 and 1,500 of 500 images one that
sees them as they are has learned them by heart, and the generator leaves the images; in a training of 15 augmentation
draws the generator further off, since its discriminator was not pretrained on augmented images, and in one of 11 it
cost accuracy (benchmarks/online). Between them nothing was measured. Ours."""

TYPED = {
    "ema_decay": "pair_ema_decay",
    "learning_rate": "generator_learning_rate",
    "augment": "discriminator_augment",
}
"""The options of `train`, by what trainers call them, where that is another name."""


def open_trainer(setup: RegimeSetup) -> GeneratorTrainer:
    """The trainer of `--generator`, with what the options of `train` change in it.

    Raises:
        UsageError: a generator that does not learn, of a size that the training does not take, or whose latents get no
            gradient where they are to be moved.
    """
    config = setup.config
    augment = discriminator_augment(setup)
    given = {
        "ema_decay": config.pair_ema_decay,
        "learning_rate": config.generator_learning_rate,
        "discriminator_learning_rate": config.discriminator_learning_rate,
        "augment": None if augment == AS_PRETRAINED else augment,
        "lora_rank": config.lora_rank,
        "gradient_steps": config.gradient_steps,
        **config.sampling_options(),
    }
    options = {name: value for name, value in given.items() if value is not None}
    device = setup.accelerator.device
    options["precision"] = generator_precision(config.generator_precision, device, trained=True)
    with generator_options(TYPED):
        trainer = load_trainer(locate_generator(config.source), device=device, synchronise=average_gradients, **options)
    size, image_size = trainer.generator.image_size, setup.real.store.image_size
    check_generator_size(config.source, size, image_size, resizes=config.resize_samples)
    if config.hard and config.hard_on == "latents":
        _check_latents(config.source, trainer.generator)
    return trainer


def _passes(setup: RegimeSetup) -> float:
    """How often the discriminator sees each real image in the training: one is drawn for each latent."""
    return setup.total_steps * setup.synthetic_share().total / len(setup.real.store)


def discriminator_augment(setup: RegimeSetup) -> str:
    """What `--discriminator-augment` comes to: parts, none, or `AS_PRETRAINED`.

    Raises:
        UsageError: there is no generator where `--generator` says.
    """
    asked = setup.config.discriminator_augment
    if asked != AUTO:
        return asked
    with generator_options():
        is_gan = kind_of(locate_generator(setup.config.source)) == "gan"
    return AUGMENT if is_gan and _passes(setup) > MANY_PASSES else AS_PRETRAINED


def _check_latents(name: str, generator: Generator) -> None:
    """Raises UsageError for a generator whose images give its latents no gradient."""
    draws = Key.from_seed(0).child("latents").at(torch.arange(1, device=next(generator.parameters()).device))
    latents = generator.sample_latents(1, draws=draws)
    if not latents.is_floating_point() or not _reached(generator, latents):
        raise UsageError(
            f"--hard-on latents needs a gradient at the latents, and --generator {name} gives none (diffusion carries "
            "it through its last sampling steps alone); use --hard-on weights"
        )


def _reached(generator: Generator, latents: Tensor) -> bool:
    """Whether a gradient goes from the images to the latents."""
    leaf = latents.requires_grad_()
    return torch.autograd.grad(generator(leaf).sum(), leaf, allow_unused=True)[0] is not None
