"""Where the generator is that a user names: in a run, in a folder, on the hub."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..hub.locations import is_hub_location
from ..runs.folder import check_finished, command_of


def locate_generator(source: str) -> str:
    """What `load_generator` is to open: the generator inside a run of `pretrain` or `train`, a folder that one on the
    hub (`hf://USER/NAME`) was fetched to, or `source` as it is.

    Raises:
        DataError: a place on the hub without weights in safetensors, or a run that has no generator or is being trained
            on.
    """
    if is_hub_location(source):
        from ..hub.fetching import MODEL_FILES, WEIGHTS, fetch

        return str(fetch(source, (MODEL_FILES,), "generator in safetensors", WEIGHTS))
    inside, command = Path(source) / "generator", command_of(source)
    if inside.is_dir():
        check_finished(Path(source), "generator")
    if inside.is_dir() or command is None:
        return str(inside) if inside.is_dir() else source
    if command == "pretrain":
        raise DataError(f"{source} is a run of `synthcl pretrain` that is not finished; run its command again first")
    kept = ", or a finished one of `synthcl train --online`" if command == "train" else ""
    raise DataError(
        f"{source} is a run of `synthcl {command}` and has no generator; give a run of `synthcl pretrain`{kept}"
    )
