"""Checkpoints: the state of everything that a step depends on, written whole or not at all, never unpickled.

    checkpoints/step-00001000/
        learner.safetensors  learner.json     a part's tensors, and the rest of its state with the tensors' places
        manifest.json                         step, and each file's size and SHA-256; written last

A state is any nest of dicts, lists, tensors and plain values, which is what `state_dict()` gives everywhere in torch.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file

from ..errors import DataError
from ..files import file_sha256, remove_temporary, write_folder
from .checkpoint_files import list_checkpoints, read_manifest, steps_of

log = logging.getLogger(__name__)


class Stateful(Protocol):
    """What can be saved and taken up again."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back: the number of steps done and each part's state."""

    step: int
    parts: dict[str, dict[str, Any]]
    extra: dict[str, Any]
    path: Path
    digest: str = ""
    """SHA-256 of its manifest, which has the digests of all of its files."""

    @property
    def identity(self) -> str:
        """What processes that take up the same checkpoint agree on."""
        return f"step {self.step} ({self.digest[:12]})"


def save_checkpoint(
    folder: Path, step: int, parts: Mapping[str, Stateful], *, keep: int, extra: dict[str, Any] | None = None
) -> Path:
    """Write the checkpoint of `step` steps done, then remove all but the newest `keep`, and those of later steps.

    Args:
        folder: of the checkpoints.
        step: how many steps are done.
        parts: what to save, by name.
        keep: how many checkpoints stay.
        extra: plain values to keep beside the state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporary(folder)
    path = folder / f"step-{step:08d}"

    def fill(target: Path) -> None:
        for name, part in parts.items():
            tensors: dict[str, torch.Tensor] = {}
            tree = _pack(part.state_dict(), (), tensors)
            save_file(tensors, target / f"{name}.safetensors")
            (target / f"{name}.json").write_text(json.dumps(tree))
        files = {f.name: {"size": f.stat().st_size, "sha256": file_sha256(f)} for f in sorted(target.iterdir())}
        manifest = {"step": step, "parts": list(parts), "files": files, "extra": extra or {}}
        (target / "manifest.json").write_text(json.dumps(manifest, indent=2))

    write_folder(path, fill)
    there = list_checkpoints(folder)
    later = [one for one in there if steps_of(one) > step]  # damaged: they were passed over
    for old in [*later, *[one for one in there if one not in later][:-keep]]:
        shutil.rmtree(old)
    return path


def load_newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are passed over with a warning. None if there never was one.

    Raises:
        DataError: there are checkpoints, and none of them is whole.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return load_checkpoint(path)
        except DataError as error:
            log.warning("%s; trying the one before", error)
    if paths:
        raise DataError(f"none of the checkpoints in {folder} is whole; remove the folder to start the run again")
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint, its checksums verified.

    Raises:
        DataError: a file is missing or differs from what was written.
    """
    manifest = read_manifest(path)
    try:
        parts = {}
        for name in manifest["parts"]:
            tensors = load_file(path / f"{name}.safetensors")
            parts[name] = _unpack(json.loads((path / f"{name}.json").read_text()), tensors)
        return Checkpoint(manifest["step"], parts, manifest["extra"], path, file_sha256(path / "manifest.json"))
    except (OSError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"checkpoint {path} is damaged: {error}") from None


def _pack(value: Any, place: tuple[str, ...], tensors: dict[str, torch.Tensor]) -> Any:
    """A state as JSON, with its tensors taken out into `tensors` under their places."""
    if isinstance(value, torch.Tensor):
        name = "/".join(place)
        assert name not in tensors, f"two tensors at {name}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        # safetensors holds contiguous tensors alone. The layout comes back too: fused optimizers walk the memory of
        # weights and of their own state in step, whatever the strides say.
        return {"tensor": [name, value.stride()]}
    if isinstance(value, Mapping):
        # Optimizer states have integer names, which JSON objects have not: pairs keep both.
        return {"items": [[key, _pack(item, (*place, str(key)), tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_pack(item, (*place, str(i)), tensors) for i, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise TypeError(f"a state holds tensors and plain values, not {type(value).__name__} at {'/'.join(place)}")


def _unpack(tree: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, content),) = tree.items()
    if kind == "tensor":
        name, stride = content
        return _with_stride(tensors[name], tuple(stride))
    if kind == "items":
        return {key: _unpack(item, tensors) for key, item in content}
    if kind == "list":
        return [_unpack(item, tensors) for item in content]
    if kind == "tuple":
        return tuple(_unpack(item, tensors) for item in content)
    return content


def _with_stride(tensor: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """The same values laid out with `stride`, where that is a layout without gaps; else contiguous."""
    if tensor.stride() == stride or tensor.numel() == 0:
        return tensor
    laid_out = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype)
    if laid_out.untyped_storage().nbytes() != tensor.untyped_storage().nbytes():
        return tensor
    return laid_out.copy_(tensor)
