"""Layer-wise decay of the learning rate: the deeper a layer of a backbone, the less it learns.

As BEiT fine-tunes vision transformers (Bao et al. 2021, arXiv 2106.08254), and MAE (He et al. 2021, arXiv 2111.06377,
appendix A.1) after it: with L blocks, what stands on the backbone learns at the given rate, block l at
`decay^(L + 1 - l)` times it, and the embedding of patches and positions at `decay^(L + 1)` times it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from torch import nn

_CLASSIFIER = "head.weight"
"""As a classifier's parameters are called in timm's vision transformers."""


def layer_scales(backbone: nn.Module, decay: float) -> dict[str, float]:
    """What the learning rate of each parameter of a backbone is multiplied by, by the parameter's name.

    They are those of timm's `param_groups_layer_decay` for the same model with its classifier, which is the layer after
    the backbone's last.

    Args:
        backbone: without a classifier. Which parameters are one layer is what timm says of it (`group_matcher`).
        decay: in (0, 1].

    Raises:
        ValueError: a backbone whose layers are not known.
    """
    if not hasattr(backbone, "group_matcher"):
        raise ValueError(
            "layer-wise decay is for backbones of timm, whose layers are known, such as timm:vit_tiny_patch16_224; "
            f"those of a {type(backbone).__name__} are not. Leave it out, or take another backbone."
        )
    from timm.models import group_parameters  # not for those who take no backbone of timm's: it loads for a second

    model: Any = backbone  # one of timm's
    names = [name for name, _ in backbone.named_parameters()]
    # What timm's matcher says nothing of is one layer with the classifier, which therefore has a name among the others.
    whole: Any = SimpleNamespace(named_parameters=lambda: [(name, None) for name in [*names, _CLASSIFIER]])
    layers = group_parameters(whole, model.group_matcher(coarse=False), reverse=True)
    return {name: decay ** (layers[_CLASSIFIER] - layers[name]) for name in names}
