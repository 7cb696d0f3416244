"""The augmentation: views of a batch of images, each with its own parameters, differentiable in the images."""

from __future__ import annotations

import torch
from torch import Tensor

from ..randomness import Draws, TensorKey
from ..runtime.readback import sent
from .bounds import trimmed
from .color import grayscale, solarize
from .geometry import blur_weights, resize_weights, separable
from .jitter import apply_jitter
from .presets import AugmentationParameters, find_preset
from .sampling import STREAM, Crop, ViewParameters, sample_views
from .selection import apply_where, on_host

_SIGMAS_IN_REACH = 4.0
"""Where a recipe gives no size for its blur, the kernel reaches this many of its largest sigma. Ours (PIL's, which such
recipes use, has no fixed reach): what it cuts off is less than 1e-4 of the whole."""

_CHUNK_VALUES = 2**18
"""Values of the views that go through all operations together on the host: few enough for a core's cache. Ours."""


class Augmentation:
    """Draws the parameters of each view and applies them to the whole batch.

    A view is a function of its image and its own random numbers: it does not depend on the rest of the batch (beyond
    float rounding), on a global generator, or on the number of processes.

    Args:
        preset: parameters, or the name of a preset.
        size: pixels a side of the views.
        compiled: make views by compiled code (`torch.compile`), at once with their random numbers: fewer
            kernels, and views that differ by float rounding. The first call of each shape takes minutes.
    """

    def __init__(self, preset: AugmentationParameters | str, size: int, *, compiled: bool = False) -> None:
        if size < 1:
            raise ValueError(f"the size of views is {size} pixels; it must be at least 1")
        self.parameters = find_preset(preset) if isinstance(preset, str) else preset
        self.size = size
        self._compiled = torch.compile(self._draw_and_apply, dynamic=False, fullgraph=True) if compiled else None

    def __call__(self, images: Tensor, draws: Draws, views: Tensor | int = 0) -> Tensor:
        """As many views as there are draws.

        Args:
            images: (N, 3, H, W) float in [0, 1].
            draws: N draws, or K N for K views of each image, those of an image adjacent; on the images' device.
            views: the number of each view among those of its image, (K N,) int64 or the same for all; only presets
                whose views differ look at it.

        Returns:
            (K N, 3, size, size) in [0, 1]: float64 for float64 images, else float32, under autocast too.
        """
        _check(images, draws)
        if len(draws) == 0:
            return images.new_zeros(0, 3, self.size, self.size)
        with torch.autocast(images.device.type, enabled=False):
            images = images if images.dtype == torch.float64 else images.float()
            if self._compiled is not None:
                return self._compiled(
                    images, draws.indices, sent(draws.key.child(STREAM).words(), images.device), views
                )
            height, width = images.shape[-2:]
            parameters = sample_views(draws, self.parameters, height, width, views)
            if on_host(images):
                return self._in_chunks(images, parameters, len(draws))
            return self._apply(images.repeat_interleave(len(draws) // len(images), dim=0), parameters)

    def _draw_and_apply(self, images: Tensor, indices: Tensor, words: Tensor, views: Tensor | int) -> Tensor:
        """All of a call, for the key of `words`; the views come in the layout that encoders take."""
        draws = Draws(TensorKey(words, STREAM), indices)
        height, width = images.shape[-2:]
        parameters = sample_views(draws, self.parameters, height, width, views)
        repeated = images.repeat_interleave(len(indices) // len(images), dim=0)
        return self._apply(repeated, parameters).contiguous(memory_format=torch.channels_last)

    def _in_chunks(self, images: Tensor, parameters: ViewParameters, num_views: int) -> Tensor:
        """What `_apply` gives, a few views at a time, those that go through the same operations together."""
        chunk = max(1, _CHUNK_VALUES // (3 * self.size**2))
        views_per_image = num_views // len(images)
        order, counts = _grouped(parameters, num_views)
        chunks = [
            self._apply(images.index_select(0, index // views_per_image), parameters[index])
            for group in order.split(counts)
            for index in group.tensor_split(-(-len(group) // chunk))
        ]
        return torch.cat(chunks).index_select(0, order.argsort())

    def _apply(self, images: Tensor, parameters: ViewParameters) -> Tensor:
        images = self._crop_and_flip(images, parameters)
        if parameters.jitter is not None:
            images = apply_jitter(images, parameters.jitter)
        if parameters.grayscale is not None:
            images = apply_where(parameters.grayscale, grayscale, images)
        if parameters.blur is not None and parameters.sigma is not None:
            images = apply_where(parameters.blur, self._blur, images, parameters.sigma)
        if parameters.solarize is not None:
            images = apply_where(parameters.solarize, self._solarize, images)
        return images

    def _crop_and_flip(self, images: Tensor, parameters: ViewParameters) -> Tensor:
        crop, flip, (height, width) = parameters.crop, parameters.flip, images.shape[-2:]
        if crop is None and (height, width) == (self.size, self.size):
            return images if flip is None else apply_where(flip, lambda x: x.flip(-1), images)
        if crop is None:
            zero = images.new_zeros(len(images))
            crop = Crop(zero, zero, zero + height, zero + width)
        rows = resize_weights(crop.top, crop.height, None, height, self.size)
        columns = resize_weights(crop.left, crop.width, flip, width, self.size)
        return _weighted(images, rows, columns)

    def _blur(self, images: Tensor, sigma: Tensor) -> Tensor:
        weights = blur_weights(sigma.to(images.dtype), self.size, self.blur_radius)
        return _weighted(images, weights, weights)

    def _solarize(self, images: Tensor) -> Tensor:
        return solarize(images, self.parameters.solarize_threshold)

    @property
    def blur_radius(self) -> int:
        """Pixels that the blur reaches to each side."""
        kernel = self.parameters.blur_kernel
        reach = _SIGMAS_IN_REACH * self.parameters.blur_sigma[1] if kernel is None else kernel * self.size / 2
        return min(max(int(reach), 1), self.size - 1)


def _grouped(parameters: ViewParameters, num_views: int) -> tuple[Tensor, list[int]]:
    """The views in an order in which those with the same colour operations stand together, and how many those are."""
    kind = torch.zeros(num_views, dtype=torch.int64)
    if parameters.jitter is not None:
        kind = 2 * parameters.jitter.group
    if parameters.grayscale is not None:
        kind = kind + parameters.grayscale
    return kind.argsort(stable=True), kind.unique(return_counts=True)[1].tolist()


def _weighted(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    # The weights of a pixel sum to 1 up to rounding, which must not take a white one beyond 1.
    return trimmed(separable(images, rows.to(images.dtype), columns.to(images.dtype)))


def _check(images: Tensor, draws: Draws) -> None:
    if images.dim() != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"expected float images (N, 3, H, W) in [0, 1], not {images.dtype} {tuple(images.shape)}; "
            "to_float converts stored bytes"
        )
    if draws.indices.device != images.device:
        raise ValueError(f"the draws are on {draws.indices.device} and the images on {images.device}")
    if len(draws) % max(len(images), 1):
        raise ValueError(f"{len(images)} images need as many draws, or a multiple for several views, not {len(draws)}")
