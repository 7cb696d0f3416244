"""Several views of each image, the same for any batch size and any number of processes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..randomness import Key
from .augmentation import Augmentation

MAX_VIEWS = 64
"""Views that an image can have: view v of image n draws from index n * MAX_VIEWS + v, so that asking for more views
leaves the first ones as they were. Ours; changing it changes every view."""


def multi_view(images: Tensor, numbers: Tensor, num_views: int, augmentation: Augmentation, key: Key) -> Tensor:
    """`num_views` views of each image.

    Args:
        images: (N, 3, H, W) float in [0, 1].
        numbers: (N,) int64, on the images' device: the number of each image over all processes, by which it draws,
            wherever in a batch it stands.
        num_views: views an image, 1 to MAX_VIEWS.
        augmentation: makes the views.
        key: the stream of random numbers.

    Returns:
        (N * num_views, 3, size, size) in [0, 1]: all views of the first image, then all of the second, and so on.
    """
    if not 1 <= num_views <= MAX_VIEWS:
        raise ValueError(f"num_views is {num_views}; it must be 1 to {MAX_VIEWS}")
    if len(numbers) != len(images):
        raise ValueError(f"{len(images)} images need as many numbers, not {len(numbers)}")
    views = torch.arange(num_views, device=numbers.device)
    indices = (numbers[:, None] * MAX_VIEWS + views).flatten()
    return augmentation(images, key.at(indices), views.repeat(len(images)))
