"""SupCon (Khosla et al. 2020, arXiv 2004.11362): SimCLR whose positives are all views of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from .base import LearnerOutput
from .losses import attraction, supcon
from .precision import unit_length
from .simclr import SimCLR

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .base import CommonOptions


class SupCon(SimCLR):
    """Views of a class attract each other and repel all others of the batch, over all processes (eq. 2).

    A view without a class has the other views of its own image or latent for positives, as in SimCLR, and is a negative
    of all others; without any classes this is SimCLR.

    Args:
        backbone, hidden_dim, embedding_dim, synthetic_negatives: as for `SimCLR`.
        temperature: of the softmax; 0.1 is the paper's (section 4).
    """

    uses_labels: ClassVar[bool] = True

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 256,
        temperature: float = 0.1,
        synthetic_negatives: bool = True,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(
            backbone,
            hidden_dim=hidden_dim,
            embedding_dim=embedding_dim,
            temperature=temperature,
            synthetic_negatives=synthetic_negatives,
            **common,
        )

    def forward(
        self, views: Tensor, groups: Tensor, num_real: int | None = None, labels: Tensor | None = None
    ) -> LearnerOutput:
        if labels is None:
            return super().forward(views, groups, num_real)
        embeddings = unit_length(self.project(self.backbone, self.head, views, groups, num_real))
        if self.synthetic.loss == "clsp" and num_real is not None:
            real = supcon(embeddings[:num_real], groups[:num_real], labels[:num_real], self.temperature)
            losses = torch.cat((real, attraction(embeddings, groups, num_real)[num_real:]))
        else:
            apart = None if self.synthetic_negatives else num_real
            losses = supcon(embeddings, groups, labels, self.temperature, apart)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), embeddings.detach())
