"""SimCLR and MoCo v2 from lightly's own parts, with our backbone and widths: the public implementations beside ours.

Needs lightly (`pip install lightly`), which benchmarks and tests depend on and the package does not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Pictures(torch.utils.data.Dataset):
    """As torchvision's CIFAR-10: arrays in memory, a PIL image for each that is asked for; no labels."""

    def __init__(self, images: np.ndarray, transform: Callable[[Any], list[Tensor]]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[Tensor]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index]))


class LightlySimCLR(nn.Module):
    """SimCLR from lightly's parts, with our widths."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        self.backbone = backbone
        self.head = SimCLRProjectionHead(int(backbone.num_features), 2048, 256)
        self.criterion = NTXentLoss(temperature=0.2)

    def transform(self, size: int) -> Any:
        from lightly.transforms import SimCLRTransform

        return SimCLRTransform(input_size=size, cj_strength=0.5, gaussian_blur=0.0)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.criterion(self.head(self.backbone(first)), self.head(self.backbone(second)))


class LightlyMoCo(nn.Module):
    """MoCo v2 from lightly's parts, with our widths and a symmetric loss."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        from lightly.loss import NTXentLoss
        from lightly.models.modules import MoCoProjectionHead
        from lightly.models.utils import deactivate_requires_grad

        self.backbone = backbone
        self.head = MoCoProjectionHead(int(backbone.num_features), 2048, 128)
        self.slow_backbone, self.slow_head = copy.deepcopy(self.backbone), copy.deepcopy(self.head)
        deactivate_requires_grad(self.slow_backbone)
        deactivate_requires_grad(self.slow_head)
        self.criterion = NTXentLoss(temperature=0.1, memory_bank_size=(4096, 128))

    def transform(self, size: int) -> Any:
        from lightly.transforms import MoCoV2Transform

        return MoCoV2Transform(input_size=size, gaussian_blur=0.0)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        from lightly.models.utils import update_momentum

        update_momentum(self.backbone, self.slow_backbone, 0.99)
        update_momentum(self.head, self.slow_head, 0.99)
        return 0.5 * (self._one_way(first, second) + self._one_way(second, first))

    def _one_way(self, query_view: Tensor, key_view: Tensor) -> Tensor:
        from lightly.models.utils import batch_shuffle, batch_unshuffle

        query = self.head(self.backbone(query_view))
        with torch.no_grad():
            shuffled, order = batch_shuffle(key_view)
            key = batch_unshuffle(self.slow_head(self.slow_backbone(shuffled)), order)
        return self.criterion(query, key)


VIEWS = {"simclr": "simclr-cifar", "moco": "mocov2-cifar"}
"""Our views with the ranges of lightly's transforms, whatever the images."""
LIGHTLY: dict[str, Callable[[nn.Module], nn.Module]] = {"simclr": LightlySimCLR, "moco": LightlyMoCo}
