"""What joint training takes up again, beside a saved generator: G's own weights, both Adam states, and the options.

    GENERATOR/                 the moving average, as `load_generator` opens it
        discriminator/         D, as diffusers saves a model
        training/
            trainer.json       the options, and how many steps were done
            generator/         G, as diffusers saves a model
            optimizers.safetensors

Nothing is pickled: a folder from anyone can be opened.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .presets import Training

logger = logging.getLogger(__name__)

DISCRIMINATOR_FOLDER = "discriminator"
TRAINING_FOLDER = "training"
FORMAT = "synthcl-gan-training-1"
_OPTIONS_FILE, _OPTIMIZERS_FILE = "trainer.json", "optimizers.safetensors"
_ENTRIES = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps of a parameter: its step count, and two moments of the parameter's shape."""


@dataclass(frozen=True)
class SavedTraining:
    """What `trainer.json` says.

    Attributes:
        options: those of `Training`, by name.
        reached: what `gamma` and `beta2` had come to.
        num_steps: updates so far, those before joint training included.
    """

    options: dict[str, Any]
    reached: dict[str, float]
    num_steps: int

    def write(self, folder: Path) -> None:
        """Write the file into a folder that exists."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        (folder / _OPTIONS_FILE).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> SavedTraining:
        """What was written.

        Raises:
            ValueError: the file is damaged, of another format, or has options that are not known here.
            OSError: there is none.
        """
        file = folder / _OPTIONS_FILE
        content = json.loads(file.read_text(encoding="utf-8"))
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise ValueError(f"{file} is of the format {found!r}, not {FORMAT!r}")
        num_steps = content.get("num_steps")
        if type(num_steps) is not int or num_steps < 0:
            raise ValueError(f"{file} is damaged: num_steps is {num_steps!r}")
        names = {"options": [field.name for field in dataclasses.fields(Training)], "reached": ["gamma", "beta2"]}
        for part, known in names.items():
            _check_values(file, content.get(part), known)
        return cls(content["options"], content["reached"], num_steps)


def _check_values(file: Path, values: Any, known: list[str]) -> None:
    """Raises ValueError unless these are values of just the options that are known."""
    if not isinstance(values, dict) or set(values) != set(known):
        raise ValueError(f"{file} does not have just the options {', '.join(known)}: {values!r}")
    for name, value in values.items():
        fits = isinstance(value, str) if name == "augment" else value is None or type(value) in (int, float)
        if not fits:
            raise ValueError(f"{file} is damaged: {name} is {value!r}")


def save_optimizers(
    folder: Path, networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Write Adam's moments and step counts, by the names of the networks and of their parameters."""
    tensors = {}
    for name, network in networks.items():
        state = optimizers[name].state
        for key, parameter in network.named_parameters():
            for entry, value in state.get(parameter, {}).items():
                tensors[f"{name}/{key}/{entry}"] = value.detach().cpu().contiguous().clone()
    save_file(tensors, folder / _OPTIMIZERS_FILE)


def load_optimizers(
    folder: Path, networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Give these networks' optimizers the state that was written; one that had taken no step stays fresh.

    Raises:
        ValueError: the file is damaged, or its entries are not those of the networks' parameters.
        OSError: there is none.
    """
    file = folder / _OPTIMIZERS_FILE
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    for name, network in networks.items():
        own = {key for key in tensors if key.startswith(f"{name}/")}
        if not own:
            continue
        state = {}
        for index, (key, parameter) in enumerate(network.named_parameters()):
            entries = {entry: f"{name}/{key}/{entry}" for entry in _ENTRIES}
            if missing := [entry for entry in entries.values() if entry not in own]:
                raise ValueError(f"{file} does not fit the {name}: it lacks {missing[0]}")
            state[index] = _state_of(parameter, {entry: tensors[key] for entry, key in entries.items()})
        optimizers[name].load_state_dict(optimizers[name].state_dict() | {"state": state})


def _state_of(parameter: nn.Parameter, saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """Adam's state of a parameter. The moments lie in memory as the parameter does: fused Adam walks them in step."""
    for entry, shape in ((_ENTRIES[0], ()), *((entry, parameter.shape) for entry in _ENTRIES[1:])):
        if saved[entry].shape != shape:
            raise ValueError(f"Adam's {entry} is of shape {tuple(saved[entry].shape)}, not {tuple(shape)}")
    return {"step": saved["step"]} | {entry: torch.empty_like(parameter).copy_(saved[entry]) for entry in _ENTRIES[1:]}


def log_fresh_starts(folder: Path, *, discriminator: bool, training: bool) -> None:
    """Say what a folder lacks, and what that means."""
    lacking = []
    if discriminator:
        lacking.append(f"no {DISCRIMINATOR_FOLDER} folder: the discriminator starts afresh")
    if training:
        lacking.append(
            f"no {TRAINING_FOLDER} folder (an earlier format): the generator starts from its average, Adam's states "
            "start afresh, and the options (learning rates, gamma, penalty_every, ...) are the defaults"
        )
    if lacking:
        logger.warning("%s has %s", folder, "; and ".join(lacking))
