"""Images in, runs out: the functions that the command line and notebooks call.

    from synthcl.pipeline import evaluate, train

    run = train(data="digits", steps=200, out="runs/real")["run"]
    print(evaluate(run, "digits")["top1"])

`pretrain`, `generate`, `train`, `compare`, `embed` and `export` take the options of their command by name, or the
config class, which checks them alike; `evaluate` takes them by name. The others open what is on disk. Names load on
first use, so that importing this costs no torch. examples/notebook_tour.py is a tour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from .data.folder_openers import register_folder_opener

if TYPE_CHECKING:
    from pathlib import Path

    from .data import ImageStore

_EXPORTS = {
    "data": ("open_images",),
    "training.pretrain": ("pretrain",),
    "configs.pretrain": ("PretrainConfig",),
    "generation.generate": ("generate",),
    "configs.generate": ("GenerateConfig",),
    "training.train": ("train",),
    "configs.train": ("TrainConfig",),
    "evaluation.table": ("evaluate",),
    "comparison.compare": ("compare",),
    "configs.compare": ("CompareConfig",),
    "exporting.embedding": ("embed",),
    "configs.embed": ("EmbedConfig",),
    "exporting.export": ("export",),
    "configs.export": ("ExportConfig",),
    "encoder": ("load_encoder",),
    "generation.opening": ("open_generator",),
    "runs.folder": (
        "read_config",
        "read_metrics",
    ),
    "shards": ("open_shard_set",),
}

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_EXPORTS)


def _open_shard_set(folder: Path | str, image_size: int | None) -> ImageStore:
    from .shards import open_shard_store

    return open_shard_store(folder, image_size=image_size)


# Here, since `data` may not import `shards`, which builds on it.
register_folder_opener(".synthcl/shardset.json", _open_shard_set)
