"""Pretrained pipelines against diffusers' own sampling, sample by sample."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler, EulerAncestralDiscreteScheduler

from synthcl.generators import kind_of, load_generator
from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.generators.pretrained.adapters import ADAPTERS
from synthcl.pipeline.randomness import Key

STEPS = 3
SIZES = {
    kind: 8 if kind in ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline", "ConsistencyModelPipeline") else 16
    for kind in ADAPTERS
}


@pytest.fixture
def make(build_pipeline, conditions):
    """A generator of a class of pipelines, with few steps."""

    def make(kind: str) -> PretrainedGenerator:
        sampler = "ddim" if kind == "DDIMPipeline" else None
        steps = 5 if kind == "PNDMPipeline" else STEPS
        return PretrainedGenerator(build_pipeline(kind), sampling_steps=steps, sampler=sampler, **conditions(kind))

    return make


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_sample_depends_on_its_own_seed_alone(check_batches, make, kind):
    generator = make(kind)
    assert generator.image_size == SIZES[kind]
    check_batches(generator)


def test_ancestral_noise_is_each_samples_own_where_the_pipeline_would_share_it(check_batches, build_pipeline):
    for scheduler in (DDPMScheduler(clip_sample=False), EulerAncestralDiscreteScheduler()):
        check_batches(PretrainedGenerator(build_pipeline("DiTPipeline", scheduler=scheduler), sampling_steps=4))
    check_batches(PretrainedGenerator(build_pipeline("ConsistencyModelPipeline"), sampling_steps=4))


@pytest.mark.parametrize("kind", ADAPTERS)
def test_saved_and_loaded_gives_the_same_images(draws, make, kind, tmp_path):
    generator = make(kind)
    generator.save_pretrained(tmp_path)
    assert kind_of(tmp_path) == "pretrained" and not list(tmp_path.rglob("*.bin"))
    loaded = load_generator(tmp_path)
    assert type(loaded) is PretrainedGenerator and not loaded.training and not loaded.differentiable
    assert loaded.recipe == generator.recipe
    latents = generator.sample_latents(2, draws=draws(2))
    assert torch.equal(loaded(latents), generator(latents))


@pytest.mark.parametrize("size", [4, 8, 20])
def test_images_are_resized_to_the_size_asked_for(draws, build_pipeline, size):
    pipeline = build_pipeline("DDIMPipeline")
    latents = PretrainedGenerator(pipeline).sample_latents(2, draws=draws(2))
    own = PretrainedGenerator(pipeline, sampling_steps=2)(latents)
    images = PretrainedGenerator(pipeline, sampling_steps=2, image_size=size)(latents)
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    torch.testing.assert_close(images.mean((2, 3)), own.mean((2, 3)), rtol=0, atol=0.1)


def test_gray_pipelines_give_rgb(draws, build_pipeline):
    pipeline = build_pipeline("DDIMPipeline", in_channels=1, out_channels=1)
    generator = PretrainedGenerator(pipeline, sampling_steps=2)
    images = generator(generator.sample_latents(2, draws=draws(2)))
    assert images.shape == (2, 3, 8, 8) and torch.equal(images[:, 0], images[:, 2])


def test_classes_are_drawn_evenly_from_those_asked_for(draws, build_pipeline):
    generator = PretrainedGenerator(build_pipeline("ConsistencyModelPipeline", num_class_embeds=6))
    assert set(generator.sample_latents(200, draws=draws(200))[:, 1].tolist()) == set(range(6))
    some = PretrainedGenerator(build_pipeline("ConsistencyModelPipeline", num_class_embeds=6), classes=[1, 4])
    drawn = some.sample_latents(400, draws=draws(400))[:, 1]
    assert set(drawn.tolist()) == {1, 4} and 160 < (drawn == 4).sum() < 240
    torch.manual_seed(0)
    assert set(some.sample_latents(50)[:, 1].tolist()) == {1, 4}


def test_prompts_are_drawn_in_their_order_and_again(build_pipeline):
    generator = PretrainedGenerator(
        build_pipeline("StableDiffusionPipeline"), prompts=["a", "b", "c"], sampling_steps=2
    )
    indices = torch.tensor([7, 0, 2, 3])
    latents = generator.sample_latents(4, draws=Key.from_seed(0).at(indices))
    described = generator.describe(latents)
    assert described == {"prompt": ["b", "a", "c", "a"], "guidance": [7.5] * 4}
    assert generator.sample_latents(4)[:, 1].tolist() == [0, 1, 2, 0]
    images = generator(torch.tensor([[5, 0], [5, 1]]))
    assert (images[0] - images[1]).abs().max() > 1e-3
    other = PretrainedGenerator(build_pipeline("StableDiffusionPipeline"), prompts=["a", "b"], sampling_steps=2)
    assert generator.recipe["prompts"]["number"] == 3 and other.recipe["prompts"] != generator.recipe["prompts"]


def test_classes_and_guidance_are_described_where_there_are_any(build_pipeline):
    latents = torch.tensor([[5, 3], [6, 7]])
    for kind, options, expected in (
        ("DiTPipeline", {"guidance_scale": 2.0}, {"class": [3, 7], "guidance": [2.0, 2.0]}),
        ("DDIMPipeline", {}, {}),
    ):
        assert PretrainedGenerator(build_pipeline(kind), **options).describe(latents) == expected


@pytest.mark.parametrize("kind", ["DiTPipeline", "ConsistencyModelPipeline"])
def test_the_class_changes_the_image(build_pipeline, kind):
    changes = {"num_class_embeds": 6} if kind == "ConsistencyModelPipeline" else {}
    generator = PretrainedGenerator(build_pipeline(kind, **changes), sampling_steps=2)
    latents = torch.tensor([[5, 0], [5, 3]])
    first, second = generator(latents)
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_stronger_pair_is_less_similar(draws, build_pipeline, conditions, kind):
    sampler = "ddim" if kind == "PNDMPipeline" else None
    generator = PretrainedGenerator(build_pipeline(kind), sampling_steps=6, sampler=sampler, **conditions(kind))
    latents = generator.sample_latents(4, draws=draws(4))
    distances = []
    for strength in (0.17, 0.5, 1.0):
        images, partners = generator.forward_group(latents, 2, strength, draws(4))
        assert torch.equal(images, generator(latents)) and partners.abs().max() <= 1
        distances.append((images - partners).square().mean().item())
    assert 0 < distances[0] < distances[1] and distances[0] < distances[2]
    _, partners = generator.forward_group(latents, 2, 0.5, draws(4))
    _, alone = generator.forward_group(latents[2:], 2, 0.5, draws(4)[2:])
    torch.testing.assert_close(alone, partners[2:], rtol=0, atol=1e-3)


def test_pairs_that_cannot_be_are_refused(draws, make, build_pipeline):
    for generator in (PretrainedGenerator(build_pipeline("ConsistencyModelPipeline")), make("PNDMPipeline")):
        with pytest.raises(ValueError, match="two sampling steps or more"):
            generator.forward_group(generator.sample_latents(1, draws=draws(1)), 2, 0.5, draws(1))
    with pytest.raises(ValueError, match=r"at most 1, not 1\.5"):
        make("DDIMPipeline").forward_group(torch.zeros(1, 2, dtype=torch.int64), 2, 1.5, draws(1))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("DDIMPipeline", {"sampler": "euler"}, "'euler': choose from ddim, dpm"),
        ("ConsistencyModelPipeline", {"sampler": "ddim"}, "sampler of its own: leave sampler 'ddim' out"),
        ("DDIMPipeline", {"sampling_steps": 1001}, "from 1 to 1000, not 1001"),
        ("DDIMPipeline", {"sampling_steps": 0}, "from 1 to 1000, not 0"),
        ("DDIMPipeline", {"image_size": 0}, "not 0"),
        ("DDIMPipeline", {"classes": [1]}, r"classes \[1\]: this pipeline takes no class labels"),
        ("DiTPipeline", {"classes": [3, 1000]}, r"some of 0 to 999, not \[3, 1000\]"),
        ("DiTPipeline", {"classes": []}, r"not \[\]"),
        ("DDIMPipeline", {"guidance_scale": 2.0}, "DDIMPipeline takes no guidance_scale"),
        ("DiTPipeline", {"prompts": ["a cat"]}, "a DiTPipeline takes no prompts; leave them out"),
        ("StableDiffusionPipeline", {}, "a StableDiffusionPipeline draws what prompts say; give some"),
        ("StableDiffusionPipeline", {"prompts": []}, "give some"),
        ("StableDiffusionPipeline", {"prompts": ["a"], "classes": [1]}, "takes no class labels"),
    ],
)
def test_options_that_do_not_fit_are_refused(build_pipeline, kind, options, message):
    with pytest.raises(ValueError, match=message):
        PretrainedGenerator(build_pipeline(kind), **options)


def test_draws_must_be_as_many_as_latents(draws, make):
    with pytest.raises(ValueError, match="2 latents need 2 draws, not 3"):
        make("DDIMPipeline").sample_latents(2, draws=draws(3))


@pytest.mark.parametrize("kind", ["DDPMPipeline", "DiTPipeline", "LDMPipeline", "StableDiffusionPipeline"])
def test_a_weak_variation_is_what_the_pipeline_keeps_of_the_image(draws, make, kind):
    """A pipeline on latents keeps what its autoencoder does; the noise of one step in a thousand is hardly seen."""
    generator = make(kind)
    images = (
        torch.rand(2, 3, generator.image_size, generator.image_size, generator=torch.Generator().manual_seed(0)) - 0.5
    )
    latents = generator.sample_latents(2, draws=draws(2))
    kept = generator.adapter.decode(generator.adapter.encode(images)).clamp(-1, 1)
    near, far = (generator.vary(images, latents, 1, strength, draws(2))[0] for strength in (0.01, 1.0))
    assert (near - kept).square().mean() < (far - kept).square().mean()


def test_variations_are_of_the_class_of_their_image(draws, build_pipeline):
    generator = PretrainedGenerator(build_pipeline("DiTPipeline", num_embeds_ada_norm=10), sampling_steps=2)
    latents = generator.sample_latents(3, draws=draws(3))
    moved = generator.with_classes(latents, torch.tensor([4, 0, 9]))
    assert torch.equal(moved[:, 0], latents[:, 0]) and moved[:, 1].tolist() == [4, 0, 9]
    with pytest.raises(ValueError, match="an image has the label 10, which is none of the classes"):
        generator.with_classes(latents, torch.tensor([4, 10, 9]))
