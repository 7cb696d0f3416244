"""Training a classifier with labels by SGD, on a frozen encoder or together with it: the SGD probe and fine-tuning.

It runs in the one loop of the pipeline, in a run folder of its own, so an interrupted one continues.

Shapes: B images a step, S pixels a side, F features, C classes, M images to score.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...learners.layers import layer_scales
from ...learners.optimizers import scaled_groups
from ...learners.validation import num_features
from ..configs.evaluate import FinetuneConfig, LinearConfig, SgdSettings
from ..data import EvenOrder, ImageStore, cached
from ..data.specs import parse_spec
from ..encoder import prepare
from ..errors import UsageError
from ..options.config import Config
from ..randomness import Key
from ..runs.loop import LoopOptions, run_loop
from ..runs.opening import hold_run
from ..views import Augmentation, AugmentationParameters, find_preset, normalize, to_float
from .features import choose_device
from .results import hash_of
from .task import Task

PROBE_VIEWS = AugmentationParameters(crop_scale=(0.08, 1.0), flip=0.5)
"""What the field's linear probes train with: torchvision's random resized crop and flip (MoCo, arXiv 1911.05722)."""
MILESTONES = (0.6, 0.8)
"""Parts of the training after which the learning rate falls to a tenth: epochs 60 and 80 of 100 (MoCo's later code)."""
MOMENTUM = 0.9


class Classifier(nn.Module):
    """A backbone and a linear layer on its features.

    Args:
        backbone: normalised images to features, with `num_features`.
        num_classes: C.
        frozen: whether the backbone stays as it is, batch statistics included.
        key: of the layer's initialisation, normal with standard deviation .01 (as MoCo's probe), bias 0.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, *, frozen: bool, key: Key) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(not frozen)
        self.frozen = frozen
        self.head = nn.utils.skip_init(nn.Linear, num_features(backbone), num_classes)
        with torch.no_grad():
            draws = key.at(torch.arange(num_classes))
            self.head.weight.copy_(0.01 * draws.normal("weight", num_features(backbone)))
            self.head.bias.zero_()

    def train(self, mode: bool = True) -> Classifier:
        """A frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, C) float32 of normalised images (B, 3, S, S)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.backbone(images)
        with torch.autocast(images.device.type, enabled=False):  # the layer computes in float32
            return self.head(features.float())


@dataclass
class SupervisedStep:
    """One step of SGD on labeled images, each augmented anew."""

    model: Classifier
    optimizer: torch.optim.Optimizer
    task: Task
    order: EvenOrder
    augmentation: Augmentation
    total_steps: int
    cosine: bool
    key: Key
    device: torch.device
    autocast: bool

    def __post_init__(self) -> None:
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]

    def __call__(self, step: int) -> dict[str, Tensor]:
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = self.factor(step) * peak
        chosen = self.task.subset[torch.from_numpy(self.order.indices(step))]
        views = self._views(chosen.numpy(), step)
        labels = self.task.train_labels[chosen].to(self.device)
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            scores = self.model(views.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        accuracy = (scores.detach().argmax(dim=1) == labels).float().mean()
        return {"loss": loss.detach(), "train_accuracy": accuracy}

    def factor(self, step: int) -> float:
        """What is left of the learning rate at a step."""
        if self.cosine:
            return 0.5 * (1 + math.cos(math.pi * step / self.total_steps))
        return 0.1 ** sum(step >= part * self.total_steps for part in MILESTONES)

    def _views(self, images: np.ndarray, step: int) -> Tensor:
        pixels = to_float(self.task.train.read(images).to(self.device))
        draws = self.key.child("views", step).at(torch.from_numpy(images).to(self.device))
        return normalize(self.augmentation(pixels, draws))


def train_classifier(task: Task, config: LinearConfig | FinetuneConfig, name: str) -> Tensor:
    """Train on the task's labeled images, for as long as the options say, and score its test images, (M, C).

    There is no choice of the best epoch: the last one counts. Rates are scaled to the size that batches have
    (`EvenOrder`), which is that of the options or less.

    Args:
        task: encoder and images.
        config: the options; those of fine-tuning train the backbone along.
        name: of the folder in RUN/evaluations/ that keeps the state: while this is under way to go on from, and after
            it to score other test images with, or the same again, without another training.

    Raises:
        UsageError: --layer-decay for a backbone whose layers are not known, or batches that it cannot learn from.
    """
    device = choose_device()
    key = Key.from_seed(config.seed).child("evaluation", name)
    frozen = not isinstance(config, FinetuneConfig)
    model = Classifier(task.encoder.backbone, task.num_classes, frozen=frozen, key=key)
    scales = _scales(model, config)
    model = model.to(device).to(memory_format=torch.channels_last)
    order = EvenOrder(len(task.subset), min(config.batch_size, len(task.subset)), key.child("order"))
    if not frozen:
        _check_batches(model.backbone, order)
    batch_size = max(order.sizes)
    settings = config.settings()
    steps = settings.epochs * order.steps_per_epoch
    task.train = cached(task.train, "auto", device)
    optimizer = _optimizer(model, settings, batch_size, scales)
    augmentation = _augmentation(config, task.encoder.image_size)
    autocast = config.precision == "bf16"
    step = SupervisedStep(model, optimizer, task, order, augmentation, steps, settings.cosine, key, device, autocast)
    options = LoopOptions(
        label=name,
        total_steps=steps,
        images_per_step=batch_size,
        log_every=max(1, order.steps_per_epoch // 2),
        checkpoint_every=max(100, steps // 20),
        keep=1,
        device=device,
        watch=("loss", "train_accuracy"),
    )
    parts = {"model": model.head if frozen else model, "optimizer": optimizer}
    with hold_run(_state_folder(task, config, name, order), f"eval {name}", config) as run:
        run_loop(run, parts, step, options)
    return _score(model, task.test, config.batch_size, device, autocast)


def _scales(model: Classifier, config: LinearConfig | FinetuneConfig) -> dict[str, float] | None:
    """What the learning rates of the backbone's parameters are multiplied by, where the options ask for it.

    Raises:
        UsageError: a backbone whose layers are not known.
    """
    if not isinstance(config, FinetuneConfig) or config.layer_decay is None:
        return None
    try:
        return layer_scales(model.backbone, config.layer_decay)
    except ValueError as error:
        raise UsageError(f"--layer-decay {config.layer_decay}: {error}") from None


def _check_batches(backbone: nn.Module, order: EvenOrder) -> None:
    """Raises UsageError for batches of one image where there is batch normalisation: alone, each is its own mean."""
    if min(order.sizes) > 1 or not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in backbone.modules()):
        return
    if order.num_samples == 1:
        raise UsageError(
            "there is one labeled image, from which an encoder with batch normalisation cannot learn: give more "
            "images, or a larger --label-fraction"
        )
    wanted = next(size for size in range(2, 4) if order.num_samples // -(-order.num_samples // size) > 1)
    raise UsageError(
        f"--batch-size {order.batch_size} makes batches of one of {order.num_samples} labeled images, from which an "
        f"encoder with batch normalisation cannot learn: pass --batch-size {wanted} or more"
    )


def _optimizer(
    model: Classifier, settings: SgdSettings, batch_size: int, scales: dict[str, float] | None = None
) -> torch.optim.Optimizer:
    """SGD with momentum; learning rates scale with the batch (Goyal et al. 2017, arXiv 1706.02677)."""
    scale = batch_size / 256
    groups: list[dict[str, Any]] = [{"params": model.head.parameters(), "lr": settings.head_learning_rate * scale}]
    if not model.frozen:
        rate = settings.learning_rate * scale
        own: list[dict[str, Any]] = [{"params": list(model.backbone.parameters()), "lr": rate}]
        if scales is not None:
            own = scaled_groups(model.backbone, own, scales)
            for group in own:
                group["lr"] = rate * group["lr_scale"]
        groups = [*own, *groups]
    return torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=settings.weight_decay, nesterov=settings.nesterov)


def _augmentation(config: LinearConfig | FinetuneConfig, image_size: int) -> Augmentation:
    if config.views is None and parse_spec(config.data).location == "digits":
        return Augmentation("digits", image_size)  # a mirrored digit is another sign
    return Augmentation(PROBE_VIEWS if config.views is None else find_preset(config.views), image_size)


def _state_folder(task: Task, config: Config, name: str, order: EvenOrder) -> Path:
    """Where the state of this very training is: same options, encoder, images and order."""
    encoder, images = task.encoder.weights_hash(), task.train.fingerprint()
    values = {n: v for n, v in config.to_dict().items() if n not in ("data_root", "test_data", "data")}
    if order.sizes != (order.batch_size,) * 2:
        values["order"] = "even"  # one that dropped the rest of each pass, as former versions did, is another training
    return task.home / "evaluations" / f"{name}-{hash_of({**values, 'encoder': encoder, 'images': images})}"


@torch.inference_mode()
def _score(model: Classifier, images: ImageStore, batch_size: int, device: torch.device, autocast: bool) -> Tensor:
    model.eval()
    scores = []
    for start in range(0, len(images), batch_size):
        pixels = images.read(np.arange(start, min(start + batch_size, len(images)))).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            scores.append(model(prepare(pixels, images.image_size)).float())
    return torch.cat(scores).cpu()
