"""`synthcl export`: weights, configuration and model card, as a folder or as files beside one another."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from ..configs.export import ExportConfig
from ..encoder import CONFIG_FILE, FORMAT, WEIGHTS_FILE, Encoder, load_encoder
from ..errors import DataError, UsageError
from ..evaluation.task import find_home
from ..files import read_json, write_file, write_folder
from ..hub.pushing import Repository, check_push
from ..options.config import takes_options
from ..views import IMAGENET_MEAN, IMAGENET_STD
from .card import model_card
from .targets import INTERPOLATION, TARGETS, Target

CARD_FILE = "README.md"
KEPT = ("evaluations", "cache")
"""What `eval` and `embed` leave beside an exported encoder: it stays when the folder is exported to again. Whatever is
in them names the weights that it is of, so that other weights do not take it for theirs."""
FILES = (".safetensors", ".pth")
"""How the name of a file to export to ends; other names are folders', which may have a dot: `lr0.1-encoder`."""
NO_FILES = (
    ".bin", ".ckpt", ".gguf", ".h5", ".joblib", ".json", ".msgpack", ".npy", ".npz", ".onnx", ".pb", ".pickle", ".pkl",
    ".pt", ".pt2", ".pte", ".tar", ".tflite", ".zip",
)  # fmt: skip
"""Files that a user could mean, which `export` does not write: a folder of such a name would mislead."""


@takes_options(ExportConfig)
def export(run: str | Path, config: ExportConfig) -> dict[str, Any]:
    """Export the encoder of a run; see `synthcl export`.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        config: the options.

    Returns:
        `run`, `to`, `out`, `files`, `backbone`, `image_size`, `num_features`, `weights_hash`, and `loading`, lines of
        Python that load it; with --push also `push`, what `Repository.push` returns.

    Raises:
        UsageError: a backbone that the target lacks, or a name that is no folder's and no file's of these kinds.
        DataError: no encoder there, or a place that cannot be written or holds something else; or a hub that there is
            no token of, that refuses, or that cannot be reached: the export is there, and the same command pushes it.
    """
    if config.push is not None:
        check_push(config.push)
    encoder, out = load_encoder(run), Path(config.out)
    target = TARGETS[config.to](encoder)
    write = _writer(out, config.to)
    if config.push is not None and out.suffix in FILES:
        raise UsageError(f"--push takes a folder's files: give --out a folder, not {out.name}")
    weights = out if out.suffix in FILES else out / WEIGHTS_FILE
    loading = _loading(target, weights)
    settings = _settings(encoder, config.to, target)
    files = {
        "weights": _weights(encoder, settings, weights.suffix),
        "config": (json.dumps(settings, indent=2) + "\n").encode(),
        "card": model_card(
            encoder, find_home(run), target, _loading(target, Path(weights.name)), config.license
        ).encode(),
    }
    try:
        paths = write(out, files)
    except OSError as error:
        raise DataError(f"cannot write to --out {out}: {error.strerror or error}") from None
    pushed = {} if config.push is None else {"push": _push(config.push, paths, config.private)}
    return {
        "run": str(run),
        "to": config.to,
        "out": str(out),
        "files": [str(path) for path in paths],
        "backbone": encoder.name,
        "image_size": encoder.image_size,
        "num_features": encoder.num_features,
        "weights_hash": encoder.weights_hash(),
        "loading": loading,
        **pushed,
    }


def _push(name: str, paths: list[Path], private: bool) -> dict[str, Any]:
    repository = Repository(name, "model", private=private)
    return repository.push({path.name: path for path in paths}, "Encoder")


def _writer(out: Path, to: str) -> Callable[[Path, dict[str, bytes]], list[Path]]:
    """What writes there. Raises UsageError or DataError where nothing can or should be written."""
    if out.suffix in FILES:
        if out.is_dir():
            raise DataError(f"--out {out} is a folder; give a file's name, or a folder without that ending")
        if to == "safetensors" and out.suffix == ".pth":
            raise UsageError(f"--to safetensors writes .safetensors, not {out.name}")
        beside = _files_of(out)
        _check_replaced(out, beside["config"], beside["card"])
        return _write_files
    if out.suffix.lower() in (*FILES, *NO_FILES):
        raise UsageError(
            f"--out {out} must be a folder, or a file that ends in {' or '.join(FILES)}: export writes no {out.suffix}"
        )
    if out.is_file():
        raise DataError(f"--out {out} is a file; give a folder")
    if out.is_dir() and Path.cwd().is_relative_to(out.resolve()):
        raise DataError(
            f"--out {out} is the working directory, or holds it, and cannot be replaced; give another folder, or run "
            "the command from elsewhere"
        )
    if out.is_dir() and {path.name for path in out.iterdir()} - {WEIGHTS_FILE, CONFIG_FILE, CARD_FILE, *KEPT}:
        raise DataError(f"--out {out} holds other things than an exported encoder; give a new or empty folder")
    _check_replaced(out, *_files_in(out).values())
    return _write_folder


def _check_replaced(out: Path, config: Path, *others: Path) -> None:
    """Raises DataError if there are files of these names that no export wrote, by what the configuration says."""
    there = next((path for path in (config, *others) if path.exists()), None)
    if there is None:
        return
    with suppress(DataError):
        content = read_json(config, "")
        if content.get("format") == FORMAT and "exported_to" in content:
            return
    raise DataError(f"--out {out} would replace {there}, which no export wrote; give another name, or move it away")


def _files_in(folder: Path) -> dict[str, Path]:
    """The files of an exported folder."""
    return {"config": folder / CONFIG_FILE, "card": folder / CARD_FILE, "weights": folder / WEIGHTS_FILE}


def _files_of(weights: Path) -> dict[str, Path]:
    """An exported file and those beside it."""
    return {"config": weights.with_suffix(".json"), "card": weights.with_suffix(".md"), "weights": weights}


def _write_folder(out: Path, files: dict[str, bytes]) -> list[Path]:
    def fill(folder: Path) -> None:
        for kind, path in _files_in(folder).items():
            path.write_bytes(files[kind])
        for name in KEPT:
            if (out / name).is_dir():
                shutil.copytree(out / name, folder / name)

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder(out, fill)
    return [_files_in(out)[kind] for kind in files]


def _write_files(out: Path, files: dict[str, bytes]) -> list[Path]:
    paths = _files_of(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for kind, path in paths.items():  # the weights last: where they are new, the others are
        write_file(path, files[kind])
    return [paths[kind] for kind in files]


def _settings(encoder: Encoder, to: str, target: Target) -> dict[str, Any]:
    """What config.json says: ours, and what the target looks for."""
    settings = {**encoder.config(), "exported_to": to, "interpolation": INTERPOLATION, **target.config}
    if "pretrained_cfg" in settings:
        settings["pretrained_cfg"] |= {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    return settings


def _weights(encoder: Encoder, settings: dict[str, Any], suffix: str) -> bytes:
    tensors: dict[str, Tensor] = encoder.tensors()
    if suffix == ".pth":
        # Tensors in a dict alone: `torch.load(weights_only=True)`, the default, reads it and runs no code.
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        return buffer.getvalue()
    return save(tensors, metadata={"format": "pt", "config": json.dumps(settings)})


def _loading(target: Target, weights: Path) -> str:
    path = repr(str(weights))
    reading = f"torch.load({path}, weights_only=True)" if weights.suffix == ".pth" else f"load_file({path})"
    lines = target.loading.replace("load_file(WEIGHTS)", reading)
    return lines if "load_file(" in reading else lines.replace("from safetensors.torch import load_file\n", "")
