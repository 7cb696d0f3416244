"""What a training is made of, built from its options."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from ...learners import Learner, convert_sync_batchnorm, create_backbone, create_learner
from ...learners.base import SyntheticTerms
from ...learners.layers import layer_scales
from ...learners.optimizers import create_optimizer
from ...learners.recipe import OptimizerRecipe
from ...learners.registry import learner_uses_labels
from ..configs.concerns import concerns
from ..configs.learner_options import check_flags
from ..configs.pretrain import PretrainConfig
from ..configs.regimes import REGIMES
from ..configs.train import TrainConfig
from ..data import ImageStore
from ..data.store import unlabelled
from ..errors import UsageError
from ..randomness import Key
from ..regimes.assembly import ViewMaker
from ..regimes.base import Regime
from ..runs.loop import LoopOptions
from ..runtime.distributed import precision_of
from ..runtime.precision import generator_precision
from ..views import Augmentation
from ..views.adversarial import AdversarialViews
from ..views.presets import default_preset, find_preset, local_parameters, local_size
from .schedule import Schedule
from .step import TrainingStep

WARMUP_PART = 0.1
"""The most of a training that warm-up takes, so that short runs learn too. Ours."""


def precisions(config: TrainConfig, accelerator: Accelerator) -> dict[str, str]:
    """What --precision comes to here, and --generator-precision where there is a generator.

    Raises:
        UsageError: as `generator_precision`.
    """
    found = {"precision": precision_of(accelerator)}
    if concerns(TrainConfig.__dataclass_fields__["generator_precision"], [config.regime]):
        trained = REGIMES[config.regime].learns
        found["generator_precision"] = generator_precision(
            config.generator_precision, accelerator.device, trained=trained
        )
    return found


def check_labels(config: TrainConfig, store: ImageStore) -> bool:
    """Whether the learner takes the images' labels.

    Raises:
        UsageError: it does, and they have none; or it does not, and the options are about them.
    """
    wanted = learner_uses_labels(config.learner)
    if wanted and store.labels is None:
        raise UsageError(
            f"--learner {config.learner} learns from labels, and {unlabelled(store.name, store.labels_problem)}; give "
            "images with labels, or another learner"
        )
    if config.synthetic_classes and not wanted:
        raise UsageError(
            f"--synthetic-classes is for a learner that takes labels, such as supcon; {config.learner} does not"
        )
    return wanted


def build_learner(config: TrainConfig, image_size: int) -> Learner:
    """The backbone and the learner that the options name, with untrained weights from torch's global generator.

    Args:
        config: of the training.
        image_size: pixels a side of what the backbone takes; see `view_size`.

    Raises:
        UsageError: an unknown backbone, one of unknown layers with --layer-decay, or an option that the learner does
            not have.
    """
    options = {
        "temperature": config.temperature,
        "queue_size": config.queue_size,
        "synthetic_negatives": None if config.synthetic_negatives else False,
    }
    try:
        check_flags(config.learner, {**options, "synthetic_weight": config.synthetic_weight})
        sizes = [_local_size(config, image_size)] if config.local_views else []
        backbone = create_backbone(config.backbone, image_size=image_size, other_sizes=sizes)
        if config.layer_decay is not None:
            _layer_scales(config, backbone)  # refuses a backbone of unknown layers before a run begins
        return create_learner(
            config.learner,
            backbone,
            num_parts=config.accumulate,
            synthetic=SyntheticTerms(
                weight=config.synthetic_weight,
                loss=config.synthetic_loss,
                own_statistics=config.separate_batchnorm,
            ),
            **{name: value for name, value in options.items() if value is not None},
            **config.learner_option,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _layer_scales(config: TrainConfig, backbone: nn.Module) -> dict[str, float]:
    """What --layer-decay multiplies the learning rate of each parameter of the backbone by.

    Raises:
        UsageError: a backbone of unknown layers.
    """
    assert config.layer_decay is not None
    try:
        return layer_scales(backbone, config.layer_decay)
    except ValueError as error:
        raise UsageError(f"--layer-decay {config.layer_decay}: {error}") from None


def view_size(config: TrainConfig, image_size: int) -> int:
    """Pixels a side of views of images of `image_size`, which are what the encoder takes.

    Raises:
        UsageError: more than the images have.
    """
    size = image_size if config.view_size is None else config.view_size
    if size > image_size:
        raise UsageError(
            f"--view-size {size} is above the {image_size} pixels of the images; give at most as many, or --image-size "
            f"{size} or more"
        )
    return size


def view_maker(config: TrainConfig, store: ImageStore, key: Key) -> ViewMaker:
    """The views that the options name.

    Raises:
        UsageError: views that are larger than the images, or local ones that are no smaller than the others.
    """
    preset, size, local = find_preset(views_preset(config, store)), view_size(config, store.image_size), None
    if config.local_views:
        local = Augmentation(local_parameters(preset), _local_size(config, size), compiled=config.compile)
    augmentation = Augmentation(preset, size, compiled=config.compile)
    return ViewMaker(augmentation, key, config.views_per_image, local, config.local_views)


def _local_size(config: TrainConfig, whole: int) -> int:
    """Pixels a side of local views beside others of `whole`.

    Raises:
        UsageError: as many as those have, or more.
    """
    size = local_size(whole) if config.local_size is None else config.local_size
    if size >= whole:
        raise UsageError(
            f"--local-size {size} is not below the {whole} pixels of the other views; give fewer, such as "
            f"{local_size(whole)}"
        )
    return size


def views_preset(config: TrainConfig, store: ImageStore) -> str:
    """The name of the augmentation that the options name."""
    return config.views or default_preset(config.learner, view_size(config, store.image_size), source=config.data)


def optimizer_recipe(config: TrainConfig, learner: Learner) -> OptimizerRecipe:
    """The learner's recipe, or that of another optimizer, with the numbers that the options give."""
    given: dict[str, Any] = {
        "base_learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "decay_norms": config.decay_norms,
    }
    recipe = learner.recipe.with_optimizer(config.optimizer)
    return dataclasses.replace(recipe, **{name: value for name, value in given.items() if value is not None})


def make_schedule(config: TrainConfig, learner: Learner, steps_per_epoch: int, total_steps: int) -> Schedule:
    """The learning rate of a training of `total_steps` by these options."""
    peak = optimizer_recipe(config, learner).learning_rate(config.batch_size)
    return Schedule(peak, int(min(config.warmup_epochs * steps_per_epoch, WARMUP_PART * total_steps)), total_steps)


def prepare(
    config: TrainConfig, accelerator: Accelerator, learner: Learner, regime: Regime, schedule: Schedule
) -> TrainingStep:
    recipe = optimizer_recipe(config, learner)
    scales = None
    if config.layer_decay is not None:
        scales = {f"backbone.{name}": scale for name, scale in _layer_scales(config, learner.backbone).items()}
    module: nn.Module = learner
    if accelerator.num_processes > 1 and config.sync_batchnorm:
        module = convert_sync_batchnorm(module, accelerator.device)
    module = module.to(accelerator.device).to(memory_format=torch.channels_last)
    optimizer = create_optimizer(module, recipe, scales)
    prepared, optimizer = accelerator.prepare(torch.compile(module) if config.compile else module, optimizer)
    adversary = AdversarialViews(config.adversarial) if config.adversarial is not None else None
    return TrainingStep(
        accelerator, prepared, optimizer, schedule, regime, adversary, config.clip_gradients, config.compile
    )


def loop_options(
    config: TrainConfig | PretrainConfig, accelerator: Accelerator, label: str, total_steps: int, watch: tuple[str, ...]
) -> LoopOptions:
    """How the loop of a training is run: as its options say, and `label`, `total_steps` and `watch` (see
    `LoopOptions`)."""
    return LoopOptions(
        label=label,
        total_steps=total_steps,
        images_per_step=config.batch_size,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        keep=config.keep,
        device=accelerator.device,
        watch=watch,
        main_process=accelerator.is_main_process,
    )
