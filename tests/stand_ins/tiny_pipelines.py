"""A tiny pipeline of every class of diffusers that is served."""

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


def _tokenizer() -> Any:
    """Of CLIP's kind, whose words are single letters and their ends."""
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=16)


def _text_encoder(projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=80,
        hidden_size=16,
        intermediate_size=16,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def _text_to_image(name: str, scheduler: str, **shape: Any) -> Callable[..., Any]:
    """What makes a Stable Diffusion of some kind, on prompts of letters and digits."""
    import diffusers

    def make(**changes: Any) -> Any:
        own = changes.pop("scheduler", None) or getattr(diffusers, scheduler)(
            beta_schedule="scaled_linear",
            **({} if "Euler" in scheduler else {"clip_sample": False, "steps_offset": int("DDIM" in scheduler)}),
        )
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
        crossed = {"down_block_types": ("CrossAttnDownBlock2D",) * 2, "up_block_types": ("CrossAttnUpBlock2D",) * 2}
        network = {"sample_size": 8, "attention_head_dim": 4, "cross_attention_dim": 16, **BLOCKS, **crossed}
        parts = {
            "vae": diffusers.AutoencoderKL(latent_channels=4, **BLOCKS, **blocks),
            "unet": diffusers.UNet2DConditionModel(**{**network, **shape, **changes}),
            "scheduler": own,
            "text_encoder": _text_encoder(),
            "tokenizer": _tokenizer(),
        }
        if "XL" in name:
            parts |= {"text_encoder_2": _text_encoder(projection=True), "tokenizer_2": _tokenizer()}
            return getattr(diffusers, name)(**parts, add_watermarker=False)
        return getattr(diffusers, name)(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )

    return make


@functools.cache
def _makers() -> dict[str, Callable[..., Any]]:
    return {
        "DDPMPipeline": _pixels("DDPMPipeline", "DDPMScheduler"),
        "DDIMPipeline": _pixels("DDIMPipeline", "DDIMScheduler"),
        "PNDMPipeline": _pixels("PNDMPipeline", "PNDMScheduler", skip_prk_steps=True),
        "ConsistencyModelPipeline": _pixels("ConsistencyModelPipeline", "CMStochasticIterativeScheduler"),
        "LDMPipeline": _ldm,
        "DiTPipeline": _dit,
        "StableDiffusionPipeline": _text_to_image("StableDiffusionPipeline", "DDIMScheduler"),
        "LatentConsistencyModelPipeline": _text_to_image(
            "LatentConsistencyModelPipeline", "LCMScheduler", time_cond_proj_dim=8
        ),
        "StableDiffusionXLPipeline": _text_to_image(
            "StableDiffusionXLPipeline",
            "EulerDiscreteScheduler",
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=64,
        ),
    }


PROMPTS = ["a red cat", "blue dog 7", "7 cats"]


@pytest.fixture(scope="session")
def conditions() -> Callable[[str], dict[str, Any]]:
    """What a generator of a pipeline's class must be told to draw: prompts, where it takes them."""
    from synthcl.generators.pretrained.adapters import ADAPTERS

    return lambda name: {"prompts": PROMPTS} if ADAPTERS[name].takes_prompts else {}


@pytest.fixture(scope="session")
def build_pipeline() -> Callable[..., Any]:
    """Builds a tiny pipeline of a class in `ADAPTERS`, of 8 pixels a side where the diffusion happens.

    Its samples differ from each other: those of untrained networks hardly do. Other arguments change the network's
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
