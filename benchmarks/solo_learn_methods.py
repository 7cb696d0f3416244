"""SimCLR and MoCo v2+ after solo-learn's recipes for CIFAR-10, with our backbone and widths: another rival of speed.

Written from its configurations and papers (arXiv 2002.05709, 2003.04297; JMLR 23(56), 2022), for it pins versions of
its dependencies that do not go with ours. What a step does is its: transforms of PIL images by torchvision, each view
passed by itself, the losses as it writes them out, both views enqueued in queues of their own. What it does beside the
method is left out: the classifier that it trains along, its log, and the blur, which no side here has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def _transform(size: int, jitter: float) -> Callable[[Any], list[Tensor]]:
    """Two views of a PIL image; `jitter` is that of brightness, contrast and saturation, and of hue a quarter of it."""
    from torchvision import transforms

    view = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomApply([transforms.ColorJitter(jitter, jitter, jitter, jitter / 4)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomHorizontalFlip(p=0.5),
            transforms.ToTensor(),
            transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
        ]
    )
    return lambda image: [view(image), view(image)]


def _projector(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2048), nn.ReLU(), nn.Linear(2048, out))


class SoloSimCLR(nn.Module):
    """SimCLR: -log of the positives' part of the sum of all exponentiated similarities, masks built in each step."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.projector = backbone, _projector(int(backbone.num_features), 256)

    def transform(self, size: int) -> Any:
        return _transform(size, 0.8)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        embeddings = [self.projector(self.backbone(views)) for views in (first, second)]
        embedded = functional.normalize(torch.cat(embeddings).float(), dim=-1)
        similar = (embedded @ embedded.T / 0.2).exp()
        images = torch.arange(len(first), device=first.device).repeat(2)
        same = images[:, None] == images
        positive = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        own, others = (similar * positive).sum(1), (similar * ~same).sum(1)
        return -(own / (own + others)).log().mean()


class SoloMoCo(nn.Module):
    """MoCo v2+: a symmetric loss, the momentum encoder without shuffling, a queue for the keys of each view."""

    def __init__(self, backbone: nn.Module, queue_size: int = 4096) -> None:
        super().__init__()
        self.backbone, self.projector = backbone, _projector(int(backbone.num_features), 128)
        self.slow = copy.deepcopy(nn.Sequential(self.backbone, self.projector)).requires_grad_(False)
        self.register_buffer("queues", functional.normalize(torch.randn(2, queue_size // 2, 128), dim=-1))
        self.position = 0

    def transform(self, size: int) -> Any:
        return _transform(size, 0.4)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        queries = [functional.normalize(self.projector(self.backbone(v)).float(), dim=-1) for v in (first, second)]
        with torch.no_grad():
            fast = [*self.backbone.parameters(), *self.projector.parameters()]
            for slow, own in zip(self.slow.parameters(), fast, strict=True):
                slow.lerp_(own, 0.01)
            keys = [functional.normalize(self.slow(v).float(), dim=-1) for v in (first, second)]
        queues = self.queues.clone()
        loss = (self._one_way(queries[0], keys[1], queues[1]) + self._one_way(queries[1], keys[0], queues[0])) / 2
        end = self.position + len(first)
        if end > self.queues.shape[1]:
            raise ValueError(f"batches of {len(first)} do not fill a queue of {self.queues.shape[1]} evenly")
        self.queues[:, self.position : end] = torch.stack(keys)
        self.position = end % self.queues.shape[1]
        return loss

    def _one_way(self, query: Tensor, key: Tensor, queue: Tensor) -> Tensor:
        logits = torch.cat([(query * key).sum(-1, keepdim=True), query @ queue.T], dim=1) / 0.2
        return functional.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


SOLO_LEARN: dict[str, Callable[[nn.Module], nn.Module]] = {"simclr": SoloSimCLR, "moco": SoloMoCo}
