"""`synthcl embed`: the features of images as a table, and as a picture in the plane.

Shapes: N images over all sources, F features.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from ..configs.embed import EmbedConfig
from ..data import ImageStore, open_images
from ..encoder import load_encoder
from ..errors import DataError, UsageError
from ..evaluation.features import cached_features, choose_device
from ..evaluation.samples import random_part
from ..evaluation.task import find_home
from ..files import write_file
from ..options.config import takes_options
from ..randomness import Key


@takes_options(EmbedConfig)
def embed(run: str | Path, config: EmbedConfig) -> dict[str, Any]:
    """Write the features of images under a run's encoder to a Parquet file; see `synthcl embed`.

    The table has the columns `source`, `key`, `label` and `class` (null where the images have none), and `embedding`, a
    list of F float32; its metadata name the encoder.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        config: the options.

    Returns:
        `run`, `out`, `num_images`, `num_features`, `encoder_hash`, `seconds`, and `picture` where one was drawn.

    Raises:
        UsageError: images that are not there, or a method whose package is not installed.
        DataError: no encoder, images that cannot be read, or a place that cannot be written.
    """
    started = time.monotonic()
    method = config.method or "tsne"
    if config.picture is not None and method == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError("--method umap needs the package umap-learn. Install it: pip install umap-learn")
    encoder = load_encoder(run)
    stores = [_open(spec, config, encoder.image_size, number) for number, spec in enumerate(config.data)]
    cache = find_home(run) / "cache" / "features"
    features = (
        cached_features(
            encoder, store, cache, batch_size=config.batch_size, precision=config.precision, device=choose_device()
        )
        for store in stores
    )
    tables = [_table(store, each) for store, each in zip(stores, features, strict=True)]
    table = pa.concat_tables(tables).replace_schema_metadata(
        {"run": str(run), "encoder_hash": encoder.weights_hash(), "backbone": encoder.name}
    )
    _write(Path(config.out), "--out", _parquet(table))
    result = {
        "run": str(run),
        "out": config.out,
        "num_images": len(table),
        "num_features": encoder.num_features,
        "encoder_hash": encoder.weights_hash(),
    }
    if config.picture is not None:
        from .embedding_picture import draw_embedding

        color_by = config.color_by or ("source" if len(stores) > 1 else "class")
        drawn = draw_embedding(table, method, color_by, config.seed)
        _write(Path(config.picture), "--picture", drawn)
        result["picture"] = config.picture
    return {**result, "seconds": round(time.monotonic() - started, 3)}


def _open(spec: str, config: EmbedConfig, image_size: int, number: int) -> ImageStore:
    store = open_images(spec, image_size=image_size, data_root=config.data_root)
    if config.num_images is None:
        return store
    return random_part(store, config.num_images, Key.from_seed(config.seed).child("embed", number))


def _table(store: ImageStore, features: Tensor) -> pa.Table:
    """A row for each image of a store, from features (N, F)."""
    num_images, num_features = features.shape
    labels = np.full(num_images, -1) if store.labels is None else store.labels
    missing = labels < 0
    names = store.class_names
    classes = [None if names is None or label < 0 else str(names[label]) for label in labels]
    flat = pa.array(features.contiguous().view(-1).numpy(), pa.float32())
    return pa.table(
        {
            "source": pa.array([store.name] * num_images).dictionary_encode(),
            "key": store.keys(range(num_images)),
            "label": pa.array(labels, pa.int64(), mask=missing),
            "class": pa.array(classes, pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, num_features),
        }
    )


def _parquet(table: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    return buffer.getvalue().to_pybytes()


def _write(path: Path, option: str, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content)
    except OSError as error:
        raise DataError(f"cannot write {option} {path}: {error.strerror}") from None
