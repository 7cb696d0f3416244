"""Common corruptions of images (Hendrycks and Dietterich 2019, arXiv 1903.12261), each in five severities.

The constants are those of the code that made CIFAR-10-C, at every image size; lengths in pixels, which are meant for 32
pixels a side, grow with larger images. Ours are that rule, the fog, and what the functions below say is: these are
images of the kind of CIFAR-10-C, not its very images. Random numbers follow from a key and from the image's index, so
that an image is corrupted in the same way in any batch.

Shapes: N images of S x S pixels, (N, 3, S, S) float32 in [0, 1] unless another is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from scipy.stats import poisson
from torch import Tensor
from torch.nn import functional as F
from torchvision.io import decode_jpeg, encode_jpeg

from ..data import ImageStore
from ..data.store import Indices, WrappedStore, as_indices
from ..randomness import Draws, Key
from ..views import to_float

Corruption: TypeAlias = Callable[[Tensor, int, Draws], Tensor]
"""Images, a severity from 0 to 4 and their random numbers to images, which may leave [0, 1]."""
CONSTANTS_SIZE = 32
"""Pixels a side of the images that the constants are meant for."""
POISSON_TAIL = 1e-9
"""Of the counts that are left out. Ours: below what the 24 bits of a random number tell apart."""
COLOURS = 256


def size_factor(images: Tensor) -> float:
    """By how much lengths in pixels grow: 1 for images of 32 pixels and for smaller ones."""
    return max(1.0, images.shape[-1] / CONSTANTS_SIZE)


def gaussian_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Normal noise, of each colour by itself."""
    scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity]
    return images + scale * draws.normal("noise", *images.shape[1:])


def shot_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Poisson noise, as of few photons: the inverse of its distribution function at a uniform number. Images have 256
    values, so a table of 256 distributions does."""
    photons = (500, 250, 100, 75, 50)[severity]
    means = np.arange(COLOURS) / (COLOURS - 1) * photons
    counts = np.arange(int(poisson.isf(POISSON_TAIL, photons)) + 2)
    table = torch.from_numpy(poisson.cdf(counts, means[:, None])).clamp(max=1)
    table[:, -1] = 1
    # One search for all: row i of the table, raised by i, lies between i and i + 1.
    rows = (images * (COLOURS - 1)).round().long()
    raised = (table + torch.arange(COLOURS)[:, None]).flatten().to(images.device)
    found = torch.searchsorted(raised, rows + draws.uniform("noise", *images.shape[1:]).double(), right=True)
    return ((found - rows * len(counts)).float() / photons).to(images.dtype)


def impulse_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Salt and pepper: some values become 0 or 1, equally often, of each colour by itself."""
    part = (0.01, 0.02, 0.03, 0.05, 0.07)[severity]
    uniform = draws.uniform("noise", *images.shape[1:])
    return torch.where(uniform < part, (uniform < part / 2).to(images.dtype), images)


def defocus_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """The mean over a disk, whose edge is smoothed by a Gaussian."""
    radius, sigma = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))[severity]
    radius, sigma = radius * size_factor(images), sigma * size_factor(images)
    reach = math.ceil(radius)
    offsets = torch.arange(-reach, reach + 1.0)
    disk = (offsets[:, None].square() + offsets.square() <= radius**2).float()
    edge = _gaussian(sigma, max(1, round(2 * sigma)))  # for 32 pixels 3 x 3, as in the original
    return _blur(_convolve(images, disk / disk.sum()), edge)


def gaussian_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """A Gaussian, cut off at four standard deviations."""
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity] * size_factor(images)
    return _blur(images, _gaussian(sigma, int(4 * sigma + 0.5)))


def motion_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """The mean over a trail behind each pixel, at an angle within 45 degrees of the horizontal; the pixels of the trail
    count by half a Gaussian, as in ImageMagick."""
    radius, sigma = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))[severity]
    radius, sigma = round(radius * size_factor(images)), sigma * size_factor(images)
    angles = (draws.uniform("angle") * 0.5 - 0.25) * math.pi  # (N,)
    steps = torch.arange(min(2 * radius + 1, math.ceil(4 * sigma) + 1), device=images.device)
    weights = (-(steps / sigma).square() / 2).exp()
    result = torch.zeros_like(images)
    for step, weight in zip(steps.tolist(), (weights / weights.sum()).tolist(), strict=True):
        result += weight * _shifted(images, (step * angles.sin()).round().long(), (step * angles.cos()).round().long())
    return result


def brightness(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """A larger value of hue, saturation and value: all colours of a pixel grow by one factor. Black becomes gray."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity]
    value = images.amax(dim=1, keepdim=True)
    brighter = (value + more).clamp(max=1)
    return torch.where(value > 0, images * (brighter / value.clamp(min=1e-6)), brighter)


def contrast(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Colours nearer to the image's mean colour."""
    part = (0.75, 0.5, 0.4, 0.3, 0.15)[severity]
    means = images.mean(dim=(2, 3), keepdim=True)
    return (images - means) * part + means


def fog(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """A layer of fractal noise, which is ours: random heights on grids of 2, 4, 8, ... cells a side, interpolated, then
    brought to [0, 1] image by image. They fall from grid to grid by the square of the original's factor, as there."""
    amount, decay = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))[severity]
    size = images.shape[-1]
    layer = images.new_zeros(len(images), 1, size, size)
    for octave in range(1, max(2, math.ceil(math.log2(size)) + 1)):
        cells = 2**octave + 1
        heights = draws.uniform(f"octave{octave}", 1, cells, cells)
        layer += decay ** (-2 * octave) * F.interpolate(heights, size=(size, size), mode="bilinear", align_corners=True)
    low, high = layer.amin(dim=(2, 3), keepdim=True), layer.amax(dim=(2, 3), keepdim=True)
    layer = (layer - low) / (high - low).clamp(min=1e-6)
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + amount * layer) * brightest / (brightest + amount)


def jpeg(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """JPEG of low quality, with colour at half the resolution."""
    quality = (80, 65, 58, 50, 40)[severity]
    pixels = [image.contiguous() for image in images_to_bytes(images).cpu()]
    return to_float(torch.stack([decode_jpeg(one) for one in encode_jpeg(pixels, quality)])).to(images.device)


def pixelate(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Fewer pixels, each the mean of those that it stands for, as Pillow's box filter has it."""
    size = images.shape[-1]
    fewer = max(1, int(size * (0.95, 0.9, 0.85, 0.75, 0.65)[severity]))
    down, up = (_box(*sizes).to(images.device) for sizes in ((size, fewer), (fewer, size)))
    small = down @ images @ down.T
    return up @ small @ up.T


CORRUPTION_FUNCTIONS: dict[str, Corruption] = {
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "impulse-noise": impulse_noise,
    "defocus-blur": defocus_blur,
    "motion-blur": motion_blur,
    "gaussian-blur": gaussian_blur,
    "brightness": brightness,
    "contrast": contrast,
    "fog": fog,
    "jpeg": jpeg,
    "pixelate": pixelate,
}
"""By name, in the order of `configs.evaluate.CORRUPTIONS`. Of the paper's kinds, glass, zoom, snow, frost and elastic
are not here."""


class CorruptedStore(WrappedStore):
    """The images of a store with one corruption.

    Args:
        store: the images.
        corruption: a name in `CORRUPTION_FUNCTIONS`.
        severity: from 1 to 5.
        key: of the random numbers; severities that share it share them.
        device: where it is computed, and where `read` gives the images.
    """

    def __init__(self, store: ImageStore, corruption: str, severity: int, key: Key, device: torch.device) -> None:
        super().__init__(store)
        self.name = f"{store.name} with {corruption} {severity}"
        self._corrupt, self._severity = CORRUPTION_FUNCTIONS[corruption], severity - 1
        self._key, self._device = key, device

    def read(self, indices: Indices) -> Tensor:
        numbers = torch.from_numpy(as_indices(indices, len(self))).to(self._device)
        images = to_float(self._store.read(numbers.cpu()).to(self._device))
        return images_to_bytes(self._corrupt(images, self._severity, self._key.at(numbers)))


def images_to_bytes(images: Tensor) -> Tensor:
    """Images of 8 bits, rounded; the original cuts off what is behind the point, which darkens by half a level."""
    return (images * (COLOURS - 1)).round().clamp(0, COLOURS - 1).to(torch.uint8)


def _gaussian(sigma: float, reach: int) -> Tensor:
    """(2 reach + 1,) weights that sum to 1."""
    weights = (-(torch.arange(-reach, reach + 1.0) / sigma).square() / 2).exp()
    return weights / weights.sum()


def _blur(images: Tensor, weights: Tensor) -> Tensor:
    """Convolve rows and columns with weights (K,)."""
    return _convolve(_convolve(images, weights[None]), weights[:, None])


def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Each colour with a kernel (K, L) of odd sizes; beyond its edge an image goes on as it ends there."""
    height, width = kernel.shape
    padded = F.pad(images, (width // 2, width // 2, height // 2, height // 2), mode="replicate")
    return F.conv2d(padded, kernel.to(images).expand(3, 1, height, width), groups=3)


def _shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each pixel of image n is the one `down[n]` below and `right[n]` to the right of it; (N,) int64 both."""
    size = images.shape[-1]
    places = torch.arange(size, device=images.device)
    rows = (places + down[:, None]).clamp(0, size - 1)[:, None, :, None]
    columns = (places + right[:, None]).clamp(0, size - 1)[:, None, None, :]
    return images[torch.arange(len(images), device=images.device)[:, None, None, None],
                  torch.arange(3, device=images.device)[None, :, None, None], rows, columns]  # fmt: skip


def _box(size: int, new_size: int) -> Tensor:
    """(new_size, size) weights that resize: each new pixel is the mean of the old ones whose centres it covers, one at
    least."""
    scale = max(1.0, size / new_size)
    centres = (torch.arange(new_size, dtype=torch.float64) + 0.5) * size / new_size
    offsets = (torch.arange(size, dtype=torch.float64) + 0.5 - centres[:, None]) / scale
    covered = (offsets > -0.5) & (offsets <= 0.5)
    return (covered / covered.sum(dim=1, keepdim=True)).float()
