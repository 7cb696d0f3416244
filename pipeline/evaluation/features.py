"""Features of a store's images under a frozen encoder: extracted once and kept in a file, or by several processes.

Shapes: N images, F features.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...learners.collectives import rank, world_size
from ..data import ImageStore
from ..encoder import Encoder
from ..errors import DataError, RunStopped
from ..files import write_file
from ..progress.line import Progress
from ..runtime.distributed import sum_over_processes
from .results import hash_of

log = logging.getLogger(__name__)

SHARED_BATCH = 256
"""Images a forward pass where processes share them. Ours."""


def choose_device() -> torch.device:
    """Where to compute: a CUDA GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.inference_mode()
def extract_features(
    encoder: Encoder, store: ImageStore, *, batch_size: int = 256, precision: str = "fp32", device: torch.device
) -> Tensor:
    """Features (N, F) float32, on the CPU, of all images in their order.

    Args:
        encoder: is moved to `device`.
        store: N images.
        batch_size: images a forward pass; it changes features by float rounding at most.
        precision: `fp32`, or `bf16` for autocast, which is quicker and moves features by about 1%.
        device: where to compute.

    Raises:
        DataError: features that are no numbers, as of an encoder whose training diverged.
    """
    encoder = encoder.to(device).to(memory_format=torch.channels_last)
    features = torch.empty(len(store), encoder.num_features)
    with Progress(f"features of {store.name}", len(store), "images") as progress:
        for start in range(0, len(store), batch_size):
            stop = min(start + batch_size, len(store))
            images = store.read(np.arange(start, stop)).to(device).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                features[start:stop] = encoder(images)
            progress.update(stop)
    if not torch.isfinite(features).all():
        raise DataError(f"the encoder gives features that are not finite for images of {store.name}: it has diverged")
    return features


def cached_features(
    encoder: Encoder,
    store: ImageStore,
    cache: Path | None,
    *,
    batch_size: int = 256,
    precision: str = "fp32",
    device: torch.device,
) -> Tensor:
    """`extract_features`, or what an earlier call left in the folder `cache` for this encoder and these images.

    A file there counts only if it names the same encoder, images and precision, and the images' files are as they were
    then; a damaged one is written anew. Without a folder, where it cannot be written, or where an image's file is gone,
    nothing is kept.
    """
    identity = {"encoder": encoder.weights_hash(), "images": store.fingerprint(), "precision": precision}
    shape = (len(store), encoder.num_features)
    file = cache and cache / f"{identity['encoder'][:16]}-{identity['images']}-{precision}.safetensors"
    if facts := store.file_facts():
        identity["files"] = hash_of(facts)  # not in the name: features of files that changed replace those of before
    elif facts is None:
        file = None
    if file and (kept := _read(file, identity, shape)) is not None:
        return kept
    features = extract_features(encoder, store, batch_size=batch_size, precision=precision, device=device)
    if file:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_file(file, save({"features": features}, metadata=identity))
        except OSError as error:
            log.warning("the features are not kept in %s: %s", file, error.strerror)
    return features


def _read(file: Path, identity: dict[str, str], shape: tuple[int, int]) -> Tensor | None:
    """The features in a file, if it is whole and holds just these."""
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as content:
            features = content.get_tensor("features")
            if content.metadata() == identity and features.shape == shape and bool(torch.isfinite(features).all()):
                return features
    except (OSError, SafetensorError) as error:
        log.warning("the features in %s cannot be read (%s); they are extracted again", file, error)
    return None


@torch.inference_mode()
def shared_features(encoder: Encoder, store: ImageStore, device: torch.device, precision: str = "fp32") -> Tensor:
    """Features (N, F) float32 on the device of a store's N images, of which each process computes a share.

    Batches are the same for any number of processes.

    Raises:
        RunStopped: features that are no numbers, in all processes alike.
    """
    features = torch.zeros(len(store), encoder.num_features, device=device)
    for rows in own_batches(len(store)):
        images = store.read(rows).to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            features[torch.from_numpy(rows).to(device)] = encoder(images)
    features = sum_over_processes(features)
    if not torch.isfinite(features).all():
        raise RunStopped(f"the encoder gives features that are not finite for images of {store.name}: it diverged")
    return features


def own_batches(num_images: int) -> Iterator[np.ndarray]:
    """The rows of this process's share of the batches of so many images."""
    for start in range(rank() * SHARED_BATCH, num_images, world_size() * SHARED_BATCH):
        yield np.arange(start, min(start + SHARED_BATCH, num_images))
