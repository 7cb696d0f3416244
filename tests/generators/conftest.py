"""Shared by the tests of generators: a tiny pipeline of every class that is served."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

BLOCKS = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}


def _unet(**changes: Any) -> Any:
    from diffusers import UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    return UNet2DModel(**{"sample_size": 8, **BLOCKS, **blocks, **changes})


def _pixels(name: str, scheduler: str, **options: Any) -> Callable[..., Any]:
    """What makes a pipeline of a U-Net on pixels."""
    import diffusers

    def make(**changes: Any) -> Any:
        own = changes.pop("scheduler", None) or getattr(diffusers, scheduler)(**options)
        return getattr(diffusers, name)(unet=_unet(**changes), scheduler=own)

    return make


def _ldm(**changes: Any) -> Any:
    from diffusers import DDIMScheduler, LDMPipeline, VQModel

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vqvae = VQModel(latent_channels=3, num_vq_embeddings=16, **BLOCKS, **blocks)
    return LDMPipeline(vqvae=vqvae, unet=_unet(**changes), scheduler=DDIMScheduler())


def _dit(scheduler: Any = None, **changes: Any) -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(latent_channels=4, **BLOCKS, **blocks)
    shape = {"sample_size": 8, "in_channels": 4, "out_channels": 8, "patch_size": 2, "num_layers": 1}
    shape |= {"num_attention_heads": 2, "attention_head_dim": 8, "num_embeds_ada_norm": 1000, **changes}
    return DiTPipeline(
        transformer=DiTTransformer2DModel(**shape), vae=vae, scheduler=scheduler or DDIMScheduler(clip_sample=False)
    )


@functools.cache
def _makers() -> dict[str, Callable[..., Any]]:
    return {
        "DDPMPipeline": _pixels("DDPMPipeline", "DDPMScheduler"),
        "DDIMPipeline": _pixels("DDIMPipeline", "DDIMScheduler"),
        "PNDMPipeline": _pixels("PNDMPipeline", "PNDMScheduler", skip_prk_steps=True),
        "ConsistencyModelPipeline": _pixels("ConsistencyModelPipeline", "CMStochasticIterativeScheduler"),
        "LDMPipeline": _ldm,
        "DiTPipeline": _dit,
    }


@pytest.fixture(scope="session")
def build_pipeline() -> Callable[..., Any]:
    """Builds a tiny pipeline of a class in `ADAPTERS`, of 8 pixels a side where the diffusion happens.

    Its samples differ from each other: those of fresh networks hardly do. Other arguments change the network's
    configuration, or are its `scheduler`.
    """

    def build(name: str, **changes: Any) -> Any:
        torch.manual_seed(0)
        pipeline = _makers()[name](**changes)
        with torch.no_grad():
            for part in (pipeline.components.get(name) for name in ("unet", "transformer")):
                for parameter in [] if part is None else part.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.05)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return build
