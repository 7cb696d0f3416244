"""The diffusion generator: what it saves, its solver options, gradients and pairs."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, DiffusionPipeline, UNet2DModel

from synthcl.generators.diffusion import DiffusionGenerator, DiffusionTrainer
from synthcl.pipeline.randomness import Key

TINY = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
    "attention_head_dim": 8,
}


def make_unet(**changes) -> UNet2DModel:
    torch.manual_seed(0)
    unet = UNet2DModel(**{**TINY, **changes})
    # Untrained networks barely answer to their input; a larger last layer makes differences visible.
    with torch.no_grad():
        unet.conv_out.weight.mul_(3)
    return unet


def make_generator(prediction: str = "epsilon", **options) -> DiffusionGenerator:
    scheduler = DDIMScheduler(timestep_spacing="trailing", prediction_type=prediction)
    return DiffusionGenerator(make_unet(), scheduler, **{"sampling_steps": 4, **options}).eval()


def draws(n: int = 3):
    return Key.from_seed(0).at(torch.arange(n))


@torch.no_grad()
def test_diffusers_opens_what_is_saved_and_draws_the_same_images(tmp_path):
    generator = make_generator(sampler="ddim", sampling_steps=5)
    generator.save_pretrained(tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(str(tmp_path), use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    seeds = [torch.Generator().manual_seed(i) for i in range(2)]
    noise = torch.cat([torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(2)])
    theirs = pipeline(
        batch_size=2, generator=seeds, num_inference_steps=5, use_clipped_model_output=True, output_type="np"
    ).images
    ours = generator(noise).permute(0, 2, 3, 1) / 2 + 0.5
    assert type(pipeline).__name__ == "DDIMPipeline"
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-3, atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_saving_and_loading_keeps_images_and_solver(tmp_path, prediction):
    generator = make_generator(prediction, sampler="ddim", sampling_steps=3, gradient_steps=2)
    generator.save_pretrained(tmp_path)
    loaded = DiffusionGenerator.from_pretrained(tmp_path)
    assert (loaded.sampler, loaded.sampling_steps, loaded.gradient_steps) == ("ddim", 3, 2)
    assert not loaded.training
    latents = generator.sample_latents(2, draws=draws(2))
    assert torch.equal(loaded(latents), generator(latents))
    other = DiffusionGenerator.from_pretrained(tmp_path, sampler="dpm", sampling_steps=6, gradient_steps=1)
    assert (other.sampler, other.sampling_steps, other.gradient_steps) == ("dpm", 6, 1)
    assert other.recipe["sampler"] == "dpm" and other.recipe["sampling_steps"] == 6
    assert set(other.recipe["versions"]) == {"diffusers", "torch"}
    assert not torch.allclose(other(latents), generator(latents))


def test_a_ddpm_pipeline_of_anyones_opens(tmp_path):
    DDPMPipeline(unet=make_unet(), scheduler=DDPMScheduler()).save_pretrained(str(tmp_path))
    loaded = DiffusionGenerator.from_pretrained(tmp_path, sampling_steps=4)
    latents = loaded.sample_latents(2, draws=draws(2))
    with torch.no_grad():
        assert torch.equal(loaded(latents), make_generator()(latents))


def test_a_schedule_that_ends_in_pure_noise_takes_a_prediction_of_v(tmp_path):
    """Lin et al. 2024, arXiv 2305.08891: alpha_T = 0."""
    for prediction in ("v_prediction", "epsilon"):
        scheduler = DDPMScheduler(prediction_type=prediction, rescale_betas_zero_snr=True)
        DDPMPipeline(unet=make_unet(), scheduler=scheduler).save_pretrained(str(tmp_path / prediction))
    trainer = DiffusionTrainer.from_pretrained(tmp_path / "v_prediction", sampling_steps=3)
    images = trainer.generator(trainer.generator.sample_latents(2, draws=draws(2)))
    assert images.isfinite().all()
    found = trainer.step(images.detach(), draws(2), images=images, hard_gradient=torch.ones_like(images))
    assert all(value.isfinite() for value in found.values())
    with pytest.raises(ValueError, match="'epsilon' tells nothing of the image"):
        DiffusionGenerator.from_pretrained(tmp_path / "epsilon")


@torch.no_grad()
@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_a_sample_does_not_depend_on_its_batch(sampler):
    generator = make_generator(sampler=sampler)
    latents = generator.sample_latents(5, draws=draws(5))
    assert torch.equal(latents[3:], generator.sample_latents(2, draws=draws(5)[3:]))
    images = generator(latents)
    assert images.shape == (5, 3, 8, 8) and images.abs().max() <= 1
    torch.testing.assert_close(generator(latents[3:]), images[3:], rtol=0, atol=1e-3)
    assert (images[0] - images[1]).abs().max() > 0.1


def test_only_the_last_steps_reach_the_weights():
    generator = make_generator(gradient_steps=1)
    latents = generator.sample_latents(2, draws=draws(2))
    gradients, calls = {}, []
    for steps in (1, 2, 4):
        generator.configure(gradient_steps=steps)
        calls.clear()
        handle = generator.unet.register_forward_pre_hook(lambda *_: calls.append(torch.is_grad_enabled()))
        images = generator(latents)
        handle.remove()
        assert calls == [False] * (4 - steps) + [True] * steps
        loss = (images * latents).sum()
        gradients[steps] = torch.autograd.grad(loss, generator.unet.conv_in.weight)[0]
        assert gradients[steps].abs().max() > 0
    assert not torch.allclose(gradients[1], gradients[4])
    with torch.no_grad():
        assert not generator(latents).requires_grad


@torch.no_grad()
def test_a_stronger_pair_is_less_similar():
    generator = make_generator(sampling_steps=10)
    latents = generator.sample_latents(8, draws=draws(8))
    distances = []
    for strength in (0.02, 0.2, 0.5, 1.0):
        images, partners = generator.forward_group(latents, 2, strength, draws(8))
        assert torch.equal(images, generator(latents)) and partners.abs().max() <= 1
        distances.append((images - partners).square().mean().item())
    assert distances == sorted(distances) and distances[0] < distances[-1] / 10 and distances[0] > 0


@torch.no_grad()
def test_a_pair_depends_on_its_own_draws_alone():
    generator = make_generator()
    latents = generator.sample_latents(4, draws=draws(4))
    _, partners = generator.forward_group(latents, 2, 0.5, draws(4))
    _, alone = generator.forward_group(latents[2:], 2, 0.5, draws(4)[2:])
    torch.testing.assert_close(alone, partners[2:], rtol=0, atol=1e-3)
    _, others = generator.forward_group(latents, 2, 0.5, Key.from_seed(1).at(torch.arange(4)))
    assert (others - partners).abs().max() > 0.01


@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_a_strength_out_of_range_is_refused(strength):
    generator = make_generator()
    with pytest.raises(ValueError, match=f"strength .* not {strength}"):
        generator.forward_group(generator.sample_latents(1, draws=draws(1)), 2, strength, draws(1))


@torch.no_grad()
def test_bf16_stays_near_fp32():
    generator = make_generator()
    latents = generator.sample_latents(4, draws=draws(4))
    expected = generator(latents)
    generator.computes_in = "bf16"
    actual = generator(latents)
    assert actual.dtype == torch.float32
    assert 0 < (actual - expected).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": 1, "out_channels": 1}, "from 1 to 1 channels"),
        ({"sample_size": (8, 16)}, r"sample_size \(8, 16\)"),
        ({"num_class_embeds": 10}, "takes class labels"),
    ],
)
def test_networks_that_cannot_serve_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DiffusionGenerator(UNet2DModel(**{**TINY, **changes}), DDIMScheduler())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "euler"}, "'euler': choose from ddim, dpm"),
        ({"sampling_steps": 0}, "from 1 to 1000, not 0"),
        ({"gradient_steps": 0}, "at least 1, not 0"),
    ],
)
def test_solver_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_generator(**options)


def test_a_folder_without_a_network_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "DDIMPipeline"}))
    with pytest.raises(ValueError, match=f"no diffusion generator in '{tmp_path}'"):
        DiffusionGenerator.from_pretrained(tmp_path)


def test_pickled_weights_are_not_read(tmp_path):
    make_generator().save_pretrained(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(make_unet().state_dict(), tmp_path / "unet" / "diffusion_pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ValueError, match="safetensors"):
        DiffusionGenerator.from_pretrained(tmp_path)
