"""Adapters of the diffusion network: what they change, what they leave, and that they merge away."""

from __future__ import annotations

import sys

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DModel

from synthcl.generators import OptionError
from synthcl.generators.diffusion import DiffusionGenerator
from synthcl.generators.diffusion.lora import add_lora, merged, without_adapters

RANK = 2


@pytest.fixture
def generator() -> DiffusionGenerator:
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=8,
    )
    return DiffusionGenerator(unet, DDIMScheduler(timestep_spacing="trailing"), sampling_steps=2).eval()


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def adapted_layers(generator: DiffusionGenerator) -> dict[str, torch.nn.Module]:
    return {name: layer for name, layer in generator.unet.named_modules() if hasattr(layer, "get_base_layer")}


def move(generator: DiffusionGenerator) -> None:
    """Give the second factors, which begin at zero, some weight."""
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.3)


@torch.no_grad()
def test_fresh_adapters_change_nothing(generator, latents):
    before = generator(latents)
    add_lora(generator, RANK)
    assert torch.equal(generator(latents), before)


def test_without_adapters_the_weights_are_those_of_before_under_their_names(generator):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    add_lora(generator, RANK)
    move(generator)
    found = without_adapters(generator.state_dict())
    assert found.keys() == before.keys() and all(torch.equal(found[name], before[name]) for name in before)


def test_only_adapters_learn_and_they_stand_at_the_projections_and_convolutions(generator):
    layers = {name for name, layer in generator.unet.named_modules() if name.endswith(("conv1", "conv2", "to_q"))}
    add_lora(generator, RANK)
    learning = {name: p for name, p in generator.named_parameters() if p.requires_grad}
    assert learning and all("lora_" in name for name in learning)
    adapted = adapted_layers(generator)
    assert layers <= set(adapted)
    assert {name.rsplit(".", 1)[-1] for name in adapted} == {"to_q", "to_k", "to_v", "0", "conv1", "conv2"}
    assert all(RANK in parameter.shape[:2] for parameter in learning.values())


@torch.no_grad()
def test_merging_adds_the_product_of_the_factors_to_each_adapted_weight(generator, latents):
    plain = {name: p.clone() for name, p in generator.unet.named_parameters()}
    add_lora(generator, RANK)
    move(generator)
    result = merged(generator)
    weights = dict(result.unet.named_parameters())
    assert weights.keys() == plain.keys(), "the adapters are gone, and nothing else"
    adapted = adapted_layers(generator)
    for name, weight in weights.items():
        layer = adapted.get(name.removesuffix(".weight"))
        if layer is None:
            assert torch.equal(weight, plain[name]), name
            continue
        first, second = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        product = (second.flatten(1) @ first.flatten(1)).view_as(weight)
        torch.testing.assert_close(weight, plain[name] + product, msg=name)
        assert product.abs().max() > 1e-3
    torch.testing.assert_close(result(latents), generator(latents), rtol=0, atol=1e-4)


@torch.no_grad()
def test_merging_leaves_the_generator_itself_as_it_is(generator):
    add_lora(generator, RANK)
    move(generator)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    merged(generator)
    after = generator.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_without_adapters_merging_is_a_copy(generator):
    result = merged(generator)
    assert result is not generator
    for (name, copied), (_, own) in zip(result.named_parameters(), generator.named_parameters(), strict=True):
        assert torch.equal(copied, own) and copied is not own, name


def test_adapters_without_peft_or_of_no_rank_are_refused(generator, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match="pip install peft"):
        add_lora(generator, RANK)
    with pytest.raises(OptionError, match="at least 1, not 0"):
        add_lora(generator, 0)
    assert all(parameter.requires_grad for parameter in generator.parameters()), "nothing was frozen"
