"""Low-rank adapters for the diffusion network (LoRA, Hu et al. 2021, arXiv 2106.09685), through `peft`.

Joint training moves the adapters and leaves the network as it is, so that G and its moving average share the network.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from ..errors import OptionError
from .denoising import Denoiser

DenoiserT = TypeVar("DenoiserT", bound=Denoiser)

# Ours: the attention's projections, as usual, and the residual blocks' convolutions, which hold most of the weights.
TARGETS = r".*\.(to_q|to_k|to_v|to_out\.0|conv1|conv2)"


def add_lora(generator: Denoiser, rank: int) -> None:
    """Put adapters of a rank into a generator's network, in place, and freeze the rest. They change nothing at first.

    The first factors come from torch's global generator, which the caller has seeded.

    Raises:
        ValueError: a rank below 1, or no `peft`.
    """
    if rank < 1:
        raise OptionError(f"lora_rank must be at least 1, not {rank}")
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError("lora_rank needs the package peft: pip install peft, or train without it") from error
    generator.requires_grad_(False)
    # alpha = rank: the adapters' product is added as it is.
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS), generator.network)


def without_adapters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by name as they were before `add_lora`, which renames what it adapts, and leaves the values alone."""
    return {name.replace(".base_layer.", "."): value for name, value in weights.items() if ".lora_" not in name}


def merged(generator: DenoiserT) -> DenoiserT:
    """A copy with the adapters added to the weights they adapt, and gone; a plain copy where there are none."""
    result = copy.deepcopy(generator)
    for parent in list(result.modules()):
        children: list[tuple[str, Any]] = list(parent.named_children())
        for name, layer in children:
            if _is_adapted(layer):
                layer.merge()
                setattr(parent, name, layer.get_base_layer())
    return result


def _is_adapted(layer: nn.Module) -> bool:
    return hasattr(layer, "merge") and hasattr(layer, "get_base_layer")
