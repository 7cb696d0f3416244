"""Images in, runs out: the functions that the command line and notebooks call.

    from synthcl.pipeline import evaluate, train

    run = train(data="digits", steps=200, out="runs/real")["run"]
    print(evaluate(run, "digits")["top1"])

`pretrain`, `generate`, `train`, `compare`, `embed` and `export` take the options of their command by name, or the
config class, which checks them alike; `evaluate` takes them by name. The others open what is on disk. Names load on
first use, so that importing this costs no torch. examples/notebook_tour.py is a tour.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .data.folder_openers import register_folder_opener

if TYPE_CHECKING:
    from pathlib import Path

    from .data import ImageStore

_EXPORTS = {
    "open_images": ".data",
    "pretrain": ".training.pretrain",
    "PretrainConfig": ".configs.pretrain",
    "generate": ".generation.generate",
    "GenerateConfig": ".configs.generate",
    "train": ".training.train",
    "TrainConfig": ".configs.train",
    "evaluate": ".evaluation.table",
    "compare": ".comparison.compare",
    "CompareConfig": ".configs.compare",
    "embed": ".exporting.embedding",
    "EmbedConfig": ".configs.embed",
    "export": ".exporting.export",
    "ExportConfig": ".configs.export",
    "load_encoder": ".encoder",
    "open_generator": ".generation.opening",
    "read_config": ".runs.folder",
    "read_metrics": ".runs.folder",
    "open_shard_set": ".shards",
}

__all__ = sorted(_EXPORTS)


def _open_shard_set(folder: Path | str, image_size: int | None) -> ImageStore:
    from .shards import open_shard_store

    return open_shard_store(folder, image_size=image_size)


# Here, since `data` may not import `shards`, which builds on it.
register_folder_opener(".synthcl/shardset.json", _open_shard_set)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name], __name__), name)
