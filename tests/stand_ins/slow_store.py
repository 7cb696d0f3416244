"""A store whose decoding takes time and is noted, in this process or in another."""

import time

import numpy as np
import torch

from synthcl.pipeline.data.store import ImageStore


class SlowStore(ImageStore):
    """Images of a file, whose decoding takes time and is noted."""

    def __init__(self, home, seconds=0.0, length=40, size=8):
        self.name, self.image_size, self.home, self.seconds = "slow", size, home, seconds
        pixels = np.random.default_rng(0).integers(0, 256, (length, 3, size, size), dtype=np.uint8)
        self.pixels = torch.from_numpy(pixels)
        self.decoded = 0

    def __len__(self):
        return len(self.pixels)

    def read(self, indices):
        if len(indices) == len(self) and isinstance(indices, np.ndarray) and (indices == np.arange(len(self))).all():
            self.decoded += 1
            with open(self.home / "decoded", "a") as file:
                file.write("x")
            time.sleep(self.seconds)
        return self.pixels[torch.as_tensor(np.asarray(indices))]

    def files(self):
        return [self.home / "source"]

    def keys(self, indices):
        return [str(i) for i in indices]

    def fingerprint(self):
        return "0123456789abcdef"
