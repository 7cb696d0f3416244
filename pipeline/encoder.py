"""A trained backbone with what it takes to use it: what a run leaves, and what evaluation and export start from.

    RUN/encoder/
        config.json          backbone, image size, normalisation, number of features, hash of the weights
        model.safetensors    the backbone's state dict

Shapes: N images of H x W pixels, S the encoder's image size, F features.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ..learners import create_backbone
from ..learners.validation import num_features
from .errors import DataError
from .files import write_folder
from .runs.folder import check_finished, command_of
from .views import IMAGENET_MEAN, IMAGENET_STD, normalize, to_float

FORMAT = "synthcl-encoder-1"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

RANDOM_PREFIX = "random:"
"""How options name an encoder of random weights in place of a run: `random:BACKBONE`."""


class Encoder(nn.Module):
    """A frozen backbone that takes images as stores give them.

    It holds a copy of the backbone: the one it is made from can go on training. It is in evaluation mode and without
    gradients, and stays so.

    Args:
        backbone: normalised images (N, 3, S, S) to features (N, F), with `num_features`.
        name: what `create_backbone` calls it.
        image_size: pixels a side, S, that the backbone was trained at.
    """

    def __init__(self, backbone: nn.Module, name: str, image_size: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(False).eval()
        self.name = name
        self.image_size = image_size

    @property
    def num_features(self) -> int:
        """F."""
        return num_features(self.backbone)

    def train(self, mode: bool = True) -> Encoder:
        """Does nothing: batch statistics of a frozen encoder do not move."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, F) float32 of images (N, 3, H, W) uint8; other sizes than S x S are resized."""
        return self.backbone(prepare(images, self.image_size)).float()

    def weights_hash(self) -> str:
        """A hash of architecture and weights: equal for encoders that give the same features."""
        digest = hashlib.blake2b(f"{self.name} {self.image_size}".encode(), digest_size=16)
        for name, tensor in sorted(self.backbone.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def untrained(self, seed: int) -> Encoder:
        """The same architecture with untrained weights: a probe's baseline. torch's global generator stays as it is."""
        device = next(self.backbone.parameters()).device
        return Encoder.random(self.name, self.image_size, seed).to(device)

    @classmethod
    def random(cls, name: str, image_size: int, seed: int) -> Encoder:
        """An encoder of untrained weights, on the CPU. torch's global generator stays as it is.

        Raises:
            ValueError: an unknown backbone.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(create_backbone(name, image_size=image_size), name, image_size)

    def config(self) -> dict[str, Any]:
        """What config.json says of the encoder."""
        return {
            "format": FORMAT,
            "backbone": self.name,
            "image_size": self.image_size,
            "num_features": self.num_features,
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
            "weights_hash": self.weights_hash(),
        }

    def tensors(self) -> dict[str, Tensor]:
        """The backbone's state, on the CPU, to be written."""
        return {name: t.detach().cpu().contiguous().clone() for name, t in self.backbone.state_dict().items()}

    def save(self, directory: str | Path) -> None:
        """Write the folder, whole or not at all; an earlier one of that name is replaced."""
        config, tensors = self.config(), self.tensors()

        def fill(folder: Path) -> None:
            save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
            (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")

        write_folder(Path(directory), fill)

    @classmethod
    def load(cls, path: str | Path) -> Encoder:
        """The encoder in an encoder's folder, or in that of the run that trained it, on the CPU.

        Raises:
            DataError: there is none, it is damaged, or its backbone is not known here.
        """
        folder = find_encoder(path)
        config = _read_config(folder)
        try:
            with torch.random.fork_rng(devices=[]):
                backbone = create_backbone(config["backbone"], image_size=config["image_size"])
            backbone.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise DataError(f"the encoder in {folder} cannot be loaded: {error}{_rebuilt(folder)}") from None
        encoder = cls(backbone, config["backbone"], config["image_size"])
        if encoder.weights_hash() != config["weights_hash"]:
            raise DataError(
                f"the encoder in {folder} is damaged: its weights are not those that were written{_rebuilt(folder)}"
            )
        return encoder


def load_encoder(path: str | Path, device: torch.device | str = "cpu") -> Encoder:
    """`Encoder.load` onto a device."""
    return Encoder.load(path).to(device)


def prepare(images: Tensor, image_size: int) -> Tensor:
    """Images (N, 3, H, W) uint8 as backbones take them: (N, 3, S, S) float32, normalised."""
    pixels = to_float(images)
    if pixels.shape[-2:] != (image_size, image_size):
        size = (image_size, image_size)
        pixels = F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    return normalize(pixels)


def find_encoder(path: str | Path) -> Path:
    """The folder of the encoder that `path`, its own folder or a run's, holds.

    Raises:
        DataError: there is none; the message says what there is instead.
    """
    path = Path(path)
    if (path / "encoder").is_dir():
        check_finished(path, "encoder")
    for folder in (path, path / "encoder"):
        if (folder / CONFIG_FILE).is_file() and (folder / WEIGHTS_FILE).is_file():
            return folder
    if not path.exists():
        raise DataError(f"there is no run {path}")
    if (path / "result.json").exists() and command_of(path) == "train":
        raise DataError(f"the encoder of the finished run {path} is not there{_rebuilt(path / 'encoder')}")
    if (path / "run.json").exists():
        raise DataError(f"the run {path} has no encoder: it is not finished (run its command again), or trained none")
    raise DataError(f"{path} is neither a run of `synthcl train` nor an encoder's folder")


def _rebuilt(folder: Path) -> str:
    """For an error: how the encoder of a finished run comes back; nothing for others."""
    result = folder.parent / "result.json"
    if folder.name != "encoder" or not result.exists():
        return ""
    return f"; remove {result} and run the run's command again, which rebuilds the encoder from the last checkpoint"


def _read_config(folder: Path) -> dict[str, Any]:
    """Checked, since an encoder's folder may come from anyone."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text())
        if config.get("format") != FORMAT:
            raise DataError(f"{folder} holds no encoder of this format: its format is {config.get('format')!r}")
        name, size, weights_hash = config["backbone"], config["image_size"], config["weights_hash"]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"the {CONFIG_FILE} of the encoder in {folder} is damaged: {error!r}{_rebuilt(folder)}"
        ) from None
    if not (isinstance(name, str) and isinstance(size, int) and 1 <= size <= 4096 and isinstance(weights_hash, str)):
        raise DataError(f"the {CONFIG_FILE} of the encoder in {folder} is damaged: backbone {name!r}, size {size!r}")
    return config
