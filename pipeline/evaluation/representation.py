"""`eval alignment`: alignment and uniformity of an encoder's features."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..configs.evaluate import AlignmentConfig
from ..data import ImageStore, open_images, splits_of
from ..data.specs import held_out_split
from ..encoder import Encoder, load_encoder
from ..errors import DataError
from ..progress.line import Progress
from ..randomness import Key
from ..views import Augmentation, multi_view, normalize, to_float
from .alignment import alignment, uniformity
from .calling import takes_data_and_options
from .features import choose_device
from .results import options_of, record_result
from .samples import random_part
from .task import find_home


@takes_data_and_options(AlignmentConfig)
def evaluate_alignment(run: str | Path, config: AlignmentConfig) -> dict[str, Any]:
    """Alignment (of two views of an image) and uniformity (over images, one view each) of the encoder's features.

    They are measured on the backbone's features, which probes see, not on the projection that the loss saw; of the
    images' test or validation split, if there is one and no other is named.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        config: the options, or they by name: `evaluate_alignment("runs/real", "cifar10", views="mocov2-cifar")`.

    Returns:
        `alignment`, `uniformity`, `num_images`, `run`, `seconds`, the options; also written to RUN/evaluations/.

    Raises:
        UsageError: images that are not there.
        DataError: no encoder there, images that cannot be read, or one image, which has no other to be far from.
    """
    started = time.monotonic()
    encoder = load_encoder(run, choose_device())
    split = held_out_split(splits_of(config.data)) or "train"
    store = open_images(config.data, image_size=encoder.image_size, split=split, data_root=config.data_root)
    if len(store) < 2:
        raise DataError(f"{config.data} has one image; give two images or more")
    key = Key.from_seed(config.seed).child("evaluation", "alignment")
    store = random_part(store, config.num_images, key.child("images"))
    views = view_features(encoder, store, Augmentation(config.views, encoder.image_size), key, config.batch_size)
    result = {
        "task": "alignment",
        "alignment": alignment(views[:, 0], views[:, 1]),
        "uniformity": uniformity(views[:, 0]),
        "run": str(run),
        "encoder_hash": encoder.weights_hash(),
        **options_of(config),
        "data": store.name,
        "num_images": len(store),
        "seconds": round(time.monotonic() - started, 3),
        "warnings": [],
    }
    return record_result(find_home(run), result, options_of(config))


@torch.inference_mode()
def view_features(encoder: Encoder, store: ImageStore, augmentation: Augmentation, key: Key, batch_size: int) -> Tensor:
    """Features of unit length (N, 2, F) of two views of each image, on the encoder's device."""
    device = next(encoder.parameters()).device
    features = []
    with Progress(f"views of {store.name}", len(store), "images") as progress:
        for start in range(0, len(store), batch_size):
            numbers = np.arange(start, min(start + batch_size, len(store)))
            images = to_float(store.read(numbers).to(device))
            views = multi_view(images, torch.from_numpy(numbers).to(device), 2, augmentation, key.child("views"))
            features.append(encoder.backbone(normalize(views)).float())
            progress.update(len(numbers) + start)
    return F.normalize(torch.cat(features), dim=1).unflatten(0, (-1, 2))
