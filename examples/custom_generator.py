"""A generator of one's own, for `synthcl generate --generator custom_generator:Gratings` and `train --fresh`.

It serves for shards and for `--fresh`, and does not learn: `--online` takes what `synthcl pretrain` wrote.

It draws coloured sine gratings, whose direction, frequency, phase and colours are the latent. Its weights are two,
contrast and brightness. Any model serves in their place that keeps to the same five things: `image_size`,
`sample_latents`, `forward`, `save_pretrained` and `from_pretrained`.

Run as a script it writes a grid of samples: `python custom_generator.py samples.png`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from synthcl.generators import Generator


class Gratings(Generator):
    """Latents (N, 9), standard normal, to images (N, 3, S, S) in [-1, 1].

    Normal, so that `--pairs` works as it is: the partner of an image is that of a latent nearby. A generator with other
    latents has `neighbours` of its own.
    """

    def __init__(self, image_size: int = 32) -> None:
        super().__init__()
        self._image_size = image_size
        self.contrast = torch.nn.Parameter(torch.tensor(1.0))
        self.brightness = torch.nn.Parameter(torch.tensor(0.0))

    @property
    def image_size(self) -> int:
        return self._image_size

    def sample_latents(self, n, *, draws=None, device=None):
        # A latent is drawn from its own sample's draws, under a name: never from a generator with a history.
        latents = torch.randn(n, 9) if draws is None else draws.normal("latents", 9)
        return latents.to(device or latents.device)

    def forward(self, latents):
        u = torch.special.ndtr(latents)  # uniform in (0, 1)
        angle, frequency, phase = (u[:, :3] * torch.tensor([math.pi, 4.0, 2 * math.pi]).to(u)).unbind(1)
        axis = torch.linspace(0, 2 * math.pi, self.image_size, device=latents.device)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        along = angle.cos()[:, None, None] * x + angle.sin()[:, None, None] * y  # (N, S, S)
        wave = torch.sin((1 + frequency)[:, None, None] * along + phase[:, None, None])[:, None]
        first, second = u[:, 3:6, None, None], u[:, 6:9, None, None]  # two colours in (0, 1)
        colours = (first + second) - 1 + (first - second) * wave
        # tanh keeps any contrast within [-1, 1].
        return torch.tanh(self.contrast * 2 * colours + self.brightness)

    def save_pretrained(self, directory):
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"image_size": self.image_size}))
        save_file(self.state_dict(), folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls, directory, **options):
        folder = Path(directory)
        generator = cls(**json.loads((folder / "config.json").read_text()), **options)
        generator.load_state_dict(load_file(folder / "model.safetensors"))
        return generator.eval()


if __name__ == "__main__":
    from torchvision.utils import save_image

    gratings = Gratings()
    with torch.no_grad():
        save_image(gratings(gratings.sample_latents(64)) / 2 + 0.5, sys.argv[1])
