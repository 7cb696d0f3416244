"""What joint training of a latent diffusion model needs in memory, counted without a GPU and without weights.

    python benchmarks/latent_memory.py --samples 8 --rank 4

Networks of the published sizes are made on the device `meta`, where tensors have shapes and no values, and what
autograd keeps for the way back from the images is added up: with all of it kept, and as joint training has it, where
each block of the network, and the decoder, keep what they are given alone and run again, the decoder on a part of the
samples at a time. Prints a table in GiB, in fp32; one sampling step carries the gradient, without guidance. A second
table, in MiB, has what the learner keeps of each view, which is of the learner's image size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, DiTTransformer2DModel, UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from synthcl.generators.diffusion.lora import TARGETS
from synthcl.generators.pretrained.trainable import DECODED_PIXELS
from synthcl.learners import create_backbone

MIB, GIB = 2**20, 2**30
LEARNERS = ("resnet18", "resnet50")
TRAINED_COPIES = 5
"""Of each weight that is trained: itself, its gradient, AdamW's two means, and the moving average."""


class Network(NamedTuple):
    """A denoising network in a latent space."""

    make: Callable[[], nn.Module]
    pixels: int
    call: Callable[[Any, Tensor], Tensor]


NETWORKS = {
    "Stable Diffusion 1.5, U-Net": Network(
        lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        512,
        lambda network, x: network(x, torch.tensor(1), encoder_hidden_states=torch.zeros(len(x), 77, 768)).sample,
    ),
    "DiT-XL/2": Network(
        lambda: DiTTransformer2DModel(sample_size=32, in_channels=4, out_channels=8),
        256,
        lambda network, x: (
            network(x, timestep=torch.ones(len(x)), class_labels=torch.ones(len(x), dtype=torch.int64)).sample
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8, help="latents a step")
    parser.add_argument("--rank", type=int, default=4, help="of the adapters")
    options = parser.parse_args()
    heads = [
        "network, its decoder",
        "pixels",
        "trained",
        "parameters trained",
        "weights and what training keeps of them",
    ]
    heads += ["kept for the way back", "at most on it", "with all kept"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, network in NETWORKS.items():
        for rank in (options.rank, None):
            print(f"| {name} | {' | '.join(row(network, options.samples, rank))} |", flush=True)
    print("\n| learner | pixels | kept of a view, MiB |\n|---|---|---|")
    for name in LEARNERS:
        for pixels in (224, 512):
            print(f"| {name} | {pixels} | {kept_of_a_view(name, pixels) / MIB:.0f} |", flush=True)


def kept_of_a_view(name: str, pixels: int) -> float:
    """Bytes that autograd keeps of each view in a backbone, without what one pass keeps whatever its views."""
    with torch.device("meta"):
        backbone = create_backbone(name, image_size=pixels)
        weights = {p.untyped_storage()._cdata for p in backbone.parameters()}
        kept = [Kept(weights) for _ in range(2)]
        for views, each in enumerate(kept, start=2):
            each.during(lambda views=views: backbone(torch.zeros(views, 3, pixels, pixels)))
    return kept[1].total - kept[0].total


def row(network: Network, samples: int, rank: int | None) -> list[str]:
    """What stands in the table for adapters of a rank, or for the whole network."""
    with torch.device("meta"):
        denoiser, decoder = network.make(), autoencoder(network.pixels)
        decoder.requires_grad_(False)
        if rank is not None:
            denoiser.requires_grad_(False)
            inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS), denoiser)
        trained = sum(p.numel() for p in denoiser.parameters() if p.requires_grad)
        frozen = sum(p.numel() for part in (denoiser, decoder) for p in part.parameters() if not p.requires_grad)
        weights = {p.untyped_storage()._cdata for part in (denoiser, decoder) for p in part.parameters()}
        latents = torch.randn(1, 4, network.pixels // 8, network.pixels // 8)
        all_kept = Kept(weights)
        all_kept.during(lambda: network.call(denoiser, latents))
        ours = Kept(weights)
        denoiser.enable_gradient_checkpointing(ours.block)
        ours.during(lambda: network.call(denoiser, latents))
        latents.requires_grad_()
        decoding = Kept(weights)
        decoding.during(lambda: decoder.decode(latents).sample)
    waiting = samples * (ours.total + latents.numel() * 4)
    together = min(samples, max(DECODED_PIXELS // network.pixels**2, 1))
    # The decoder runs again first, while the network's blocks wait; then these, one after the other.
    most = waiting + max(together * decoding.total, samples * ours.largest_block)
    everything = samples * (all_kept.total + decoding.total)
    found = [TRAINED_COPIES * 4 * trained + 4 * frozen, waiting, most, everything]
    what = "all" if rank is None else f"adapters, rank {rank}"
    return [str(network.pixels), what, f"{trained / 1e6:.1f}M", *(f"{value / GIB:.2f}" for value in found)]


def autoencoder(pixels: int) -> nn.Module:
    """That of Stable Diffusion 1 and of DiT."""
    return AutoencoderKL(
        sample_size=pixels,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


class Kept:
    """Adds up the bytes that autograd keeps, weights apart."""

    def __init__(self, weights: set[int]) -> None:
        self.weights = weights
        self.storages: dict[int, Any] = {}
        self.largest_block = 0
        """Of a block that keeps what it is given alone: the most that one keeps when it is run again, in bytes."""

    @property
    def total(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.weights:
            self.storages[storage._cdata] = storage  # held, so that its number is nobody else's
        return tensor

    def during(self, function: Callable[[], Tensor]) -> Any:
        with torch.autograd.graph.saved_tensors_hooks(self.keep, lambda tensor: tensor):
            return function()

    def block(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What diffusers has run each block of a network."""
        inner = Kept(self.weights)
        result = inner.during(lambda: function(*arguments))
        self.largest_block = max(self.largest_block, inner.total)
        for argument in arguments:
            for tensor in argument if isinstance(argument, tuple) else (argument,):
                if isinstance(tensor, Tensor):
                    self.keep(tensor)
        return result


if __name__ == "__main__":
    main()
