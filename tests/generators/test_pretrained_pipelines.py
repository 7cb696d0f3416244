"""Pretrained pipelines against diffusers' own sampling, sample by sample."""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    CMStochasticIterativeScheduler,
    ConsistencyModelPipeline,
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    DPMSolverSDEScheduler,
    EulerAncestralDiscreteScheduler,
    LDMPipeline,
    PNDMPipeline,
    PNDMScheduler,
    UNet2DModel,
    VQModel,
)

from synthcl.generators import kind_of, load_generator
from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.pipeline.randomness import Key

BLOCKS = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
STEPS = 3


def unet(**changes) -> UNet2DModel:
    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    return UNet2DModel(**{"sample_size": 8, **BLOCKS, **blocks, **changes})


def ddpm():
    return DDPMPipeline(unet=unet(), scheduler=DDPMScheduler())


def ddim():
    return DDIMPipeline(unet=unet(), scheduler=DDIMScheduler())


def pndm():
    return PNDMPipeline(unet=unet(), scheduler=PNDMScheduler(skip_prk_steps=True))


def ldm():
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vqvae = VQModel(latent_channels=3, num_vq_embeddings=16, **BLOCKS, **blocks)
    return LDMPipeline(vqvae=vqvae, unet=unet(), scheduler=DDIMScheduler())


def consistency(**changes):
    scheduler = CMStochasticIterativeScheduler()
    return ConsistencyModelPipeline(unet=unet(**changes), scheduler=scheduler)


def dit(scheduler=None, **changes):
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(latent_channels=4, **BLOCKS, **blocks)
    shape = {"sample_size": 8, "in_channels": 4, "out_channels": 8, "patch_size": 2, "num_layers": 1}
    shape |= {"num_attention_heads": 2, "attention_head_dim": 8, "num_embeds_ada_norm": 1000, **changes}
    return DiTPipeline(
        transformer=DiTTransformer2DModel(**shape), vae=vae, scheduler=scheduler or DDIMScheduler(clip_sample=False)
    )


KINDS = {"ddpm": ddpm, "ddim": ddim, "pndm": pndm, "ldm": ldm, "consistency": consistency, "dit": dit}
SIZES = {"ldm": 16, "dit": 16}


def build(make, **changes):
    """A pipeline whose samples differ: fresh networks give nearly nothing."""
    torch.manual_seed(0)
    pipeline = make(**changes)
    with torch.no_grad():
        for part in (pipeline.components.get(name) for name in ("unet", "transformer")):
            for parameter in [] if part is None else part.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draws(n: int = 3, seed: int = 0):
    return Key.from_seed(seed).at(torch.arange(n))


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_those_of_the_pipeline_itself(kind):
    pipeline = build(KINDS[kind])
    steps = 5 if kind == "pndm" else STEPS  # fewer would not leave its warm-up
    generator = PretrainedGenerator(pipeline, sampling_steps=steps)
    latents = generator.sample_latents(3, draws=draws())
    seeds, classes = latents.T.tolist()
    options = {"class_labels": classes} if kind == "dit" else {"batch_size": 3}
    theirs = pipeline(
        **options,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        num_inference_steps=steps,
        output_type="np",
    ).images
    ours = generator(latents).permute(0, 2, 3, 1) / 2 + 0.5
    torch.testing.assert_close(ours, torch.from_numpy(theirs).float(), rtol=1e-4, atol=1e-4)


def make(kind: str) -> PretrainedGenerator:
    sampler = "ddim" if kind == "ddim" else None
    return PretrainedGenerator(build(KINDS[kind]), sampling_steps=5 if kind == "pndm" else STEPS, sampler=sampler)


def check_batches(generator: PretrainedGenerator) -> None:
    latents = generator.sample_latents(4, draws=draws(4))
    assert torch.equal(latents[2:], generator.sample_latents(2, draws=draws(4)[2:]))
    torch.manual_seed(0)
    images = generator(latents)
    assert images.dtype == torch.float32 and images.abs().max() <= 1 and not images.requires_grad
    assert images.shape == (4, 3, generator.image_size, generator.image_size)
    assert all((images[0] - other).abs().max() > 0.02 for other in images[1:])
    torch.manual_seed(1)
    assert torch.equal(generator(latents), images)
    torch.testing.assert_close(generator(latents[2:]), images[2:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_depends_on_its_own_seed_alone(kind):
    generator = make(kind)
    assert generator.image_size == SIZES.get(kind, 8)
    check_batches(generator)


def test_ancestral_noise_is_each_samples_own_where_the_pipeline_would_share_it():
    for scheduler in (DDPMScheduler(clip_sample=False), EulerAncestralDiscreteScheduler()):
        check_batches(PretrainedGenerator(build(dit, scheduler=scheduler), sampling_steps=4))
    check_batches(PretrainedGenerator(build(consistency), sampling_steps=4))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_gives_the_same_images(kind, tmp_path):
    generator = make(kind)
    generator.save_pretrained(tmp_path)
    assert kind_of(tmp_path) == "pretrained" and not list(tmp_path.rglob("*.bin"))
    loaded = load_generator(tmp_path)
    assert type(loaded) is PretrainedGenerator and not loaded.training and not loaded.differentiable
    assert loaded.recipe == generator.recipe
    latents = generator.sample_latents(2, draws=draws(2))
    assert torch.equal(loaded(latents), generator(latents))


@pytest.mark.parametrize("kind", ["ddpm", "ldm", "dit"])
@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_few_step_solvers_serve_in_place_of_the_scheduler(kind, sampler):
    pipeline = build(KINDS[kind])
    generator = PretrainedGenerator(pipeline, sampler=sampler, sampling_steps=4)
    assert generator.recipe["scheduler"] == {"ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler"}[sampler]
    check_batches(generator)


@pytest.mark.parametrize("size", [4, 8, 20])
def test_images_are_resized_to_the_size_asked_for(size):
    pipeline = build(ddim)
    latents = PretrainedGenerator(pipeline).sample_latents(2, draws=draws(2))
    own = PretrainedGenerator(pipeline, sampling_steps=2)(latents)
    images = PretrainedGenerator(pipeline, sampling_steps=2, image_size=size)(latents)
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    torch.testing.assert_close(images.mean((2, 3)), own.mean((2, 3)), rtol=0, atol=0.1)


def test_gray_pipelines_give_rgb():
    pipeline = build(lambda: DDIMPipeline(unet=unet(in_channels=1, out_channels=1), scheduler=DDIMScheduler()))
    generator = PretrainedGenerator(pipeline, sampling_steps=2)
    images = generator(generator.sample_latents(2, draws=draws(2)))
    assert images.shape == (2, 3, 8, 8) and torch.equal(images[:, 0], images[:, 2])


def test_classes_are_drawn_evenly_from_those_asked_for():
    generator = PretrainedGenerator(build(consistency, num_class_embeds=6))
    assert set(generator.sample_latents(200, draws=draws(200))[:, 1].tolist()) == set(range(6))
    some = PretrainedGenerator(build(consistency, num_class_embeds=6), classes=[1, 4])
    drawn = some.sample_latents(400, draws=draws(400))[:, 1]
    assert set(drawn.tolist()) == {1, 4} and 160 < (drawn == 4).sum() < 240
    torch.manual_seed(0)
    assert set(some.sample_latents(50)[:, 1].tolist()) == {1, 4}


@pytest.mark.parametrize("kind", ["dit", "consistency"])
def test_the_class_changes_the_image(kind):
    changes = {"num_class_embeds": 6} if kind == "consistency" else {}
    generator = PretrainedGenerator(build(KINDS[kind], **changes), sampling_steps=2)
    latents = torch.tensor([[5, 0], [5, 3]])
    first, second = generator(latents)
    assert (first - second).abs().max() > 1e-3


def test_guidance_goes_through_the_class_after_the_last():
    """At scale 1 there is none; the null class is the number of classes, also where that is not 1000."""
    pipeline = build(dit, num_embeds_ada_norm=10)
    latents = torch.tensor([[5, 3]])
    plain, guided = (PretrainedGenerator(pipeline, sampling_steps=2, guidance_scale=s)(latents) for s in (1.0, 4.0))
    assert (plain - guided).abs().max() > 1e-3
    x, t, labels = torch.randn(1, 4, 8, 8), torch.tensor(500), torch.tensor([3])
    adapter = PretrainedGenerator(pipeline, guidance_scale=2.5).adapter
    with torch.no_grad():
        output, null = (
            pipeline.transformer(x, timestep=t[None], class_labels=torch.tensor([label])).sample[:, :4]
            for label in (3, 10)
        )
        torch.testing.assert_close(adapter.denoise(x, t, labels), null + 2.5 * (output - null), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["ddpm", "ddim", "ldm", "dit"])
def test_a_stronger_pair_is_less_similar(kind):
    generator = PretrainedGenerator(build(KINDS[kind]), sampling_steps=6)
    latents = generator.sample_latents(4, draws=draws(4))
    distances = []
    for strength in (0.17, 0.5, 1.0):
        images, partners = generator.forward_pair(latents, strength, draws(4))
        assert torch.equal(images, generator(latents)) and partners.abs().max() <= 1
        distances.append((images - partners).square().mean().item())
    assert 0 < distances[0] < distances[1] and distances[0] < distances[2]
    _, partners = generator.forward_pair(latents, 0.5, draws(4))
    _, alone = generator.forward_pair(latents[2:], 0.5, draws(4)[2:])
    torch.testing.assert_close(alone, partners[2:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("sampler", ["dpm", "ddim"])
def test_a_weak_pair_stays_near_under_each_solver(sampler):
    generator = PretrainedGenerator(build(ddpm), sampler=sampler, sampling_steps=20)
    latents = generator.sample_latents(4, draws=draws(4))
    (images, near), (_, far) = (generator.forward_pair(latents, s, draws(4)) for s in (0.05, 1.0))
    assert (images - near).square().mean() < 0.3 * (images - far).square().mean()


def test_pairs_that_cannot_be_are_refused():
    for generator in (PretrainedGenerator(build(consistency)), make("pndm")):
        with pytest.raises(ValueError, match="two sampling steps or more"):
            generator.forward_pair(generator.sample_latents(1, draws=draws(1)), 0.5, draws(1))
    with pytest.raises(ValueError, match=r"at most 1, not 1\.5"):
        make("ddim").forward_pair(torch.zeros(1, 2, dtype=torch.int64), 1.5, draws(1))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("ddim", {"sampler": "euler"}, "'euler': choose from ddim, dpm"),
        ("consistency", {"sampler": "ddim"}, "sampler of its own: leave sampler 'ddim' out"),
        ("ddim", {"sampling_steps": 1001}, "from 1 to 1000, not 1001"),
        ("ddim", {"sampling_steps": 0}, "from 1 to 1000, not 0"),
        ("ddim", {"image_size": 0}, "not 0"),
        ("ddim", {"classes": [1]}, r"classes \[1\]: this pipeline takes no class labels"),
        ("dit", {"classes": [3, 1000]}, r"some of 0 to 999, not \[3, 1000\]"),
        ("dit", {"classes": []}, r"not \[\]"),
        ("ddim", {"guidance_scale": 2.0}, "DDIMPipeline takes no guidance_scale"),
    ],
)
def test_options_that_do_not_fit_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        PretrainedGenerator(build(KINDS[kind]), **options)


def test_a_scheduler_with_one_noise_for_the_batch_is_refused(monkeypatch):
    pipeline = build(ddpm)
    pipeline.scheduler = object.__new__(DPMSolverSDEScheduler)
    with pytest.raises(ValueError, match="one noise for a whole batch"):
        PretrainedGenerator(pipeline)


def test_draws_must_be_as_many_as_latents():
    with pytest.raises(ValueError, match="2 latents need 2 draws, not 3"):
        make("ddim").sample_latents(2, draws=draws(3))


def test_a_ddpm_takes_its_thousand_steps_unless_told_otherwise():
    assert PretrainedGenerator(build(ddpm)).sampling_steps == 1000
    assert PretrainedGenerator(build(consistency)).sampling_steps == 1
