"""What sets one kind of pipeline apart from another, against diffusers' own sampling."""

from __future__ import annotations

import functools

import pytest
import torch

from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.generators.pretrained.adapters import ADAPTERS

STEPS = 3


@pytest.mark.parametrize("kind", ADAPTERS)
def test_images_are_those_of_the_pipeline_itself(draws, build_pipeline, conditions, kind):
    pipeline = build_pipeline(kind)
    steps = 5 if kind == "PNDMPipeline" else STEPS  # fewer would not leave its warm-up
    generator = PretrainedGenerator(pipeline, sampling_steps=steps, **conditions(kind))
    latents = generator.sample_latents(3, draws=draws())
    seeds, classes = latents.T.tolist()
    options = {"class_labels": classes} if kind == "DiTPipeline" else {"batch_size": 3}
    if generator.prompts:
        options = {"prompt": [generator.prompts[number] for number in classes], "height": 16, "width": 16}
    theirs = pipeline(
        **options,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        num_inference_steps=steps,
        output_type="np",
    ).images
    ours = generator(latents).permute(0, 2, 3, 1) / 2 + 0.5
    torch.testing.assert_close(ours, torch.from_numpy(theirs).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_consistency_model_of_classes_draws_what_the_pipeline_itself_draws(draws, build_pipeline, steps):
    pipeline = build_pipeline("ConsistencyModelPipeline", num_class_embeds=6)
    generator = PretrainedGenerator(pipeline, sampling_steps=steps, classes=[1, 2, 5])
    latents = generator.sample_latents(4, draws=draws(4))
    seeds, classes = latents.T.tolist()
    assert len(set(classes)) > 1 and generator.describe(latents) == {"class": classes}

    def theirs(labels):
        images = pipeline(
            batch_size=4,
            class_labels=labels,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            num_inference_steps=steps,
            output_type="np",
        ).images
        return torch.from_numpy(images).float()

    ours = generator(latents).permute(0, 2, 3, 1) / 2 + 0.5
    torch.testing.assert_close(ours, theirs(classes), rtol=1e-4, atol=1e-4)
    assert (ours - theirs([(label + 1) % 6 for label in classes])).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("kind", ["DDPMPipeline", "DDIMPipeline", "PNDMPipeline"])
def test_a_unet_of_classes_draws_what_diffusers_draws_with_the_labels_at_its_network(
    draws, build_pipeline, monkeypatch, kind
):
    """These pipelines hand their network no labels; here they do, and nothing else is other than theirs."""
    pipeline = build_pipeline(kind, num_class_embeds=6)
    generator = PretrainedGenerator(pipeline, sampling_steps=5)
    latents = generator.sample_latents(4, draws=draws(4))
    seeds, classes = latents.T.tolist()
    assert len(set(classes)) > 1 and generator.describe(latents) == {"class": classes}
    ours = generator(latents).permute(0, 2, 3, 1) / 2 + 0.5
    forward = pipeline.unet.forward
    for shift in (0, 1):
        labels = (torch.tensor(classes) + shift) % 6
        monkeypatch.setattr(pipeline.unet, "forward", functools.partial(forward, class_labels=labels))
        images = pipeline(
            batch_size=4,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            num_inference_steps=5,
            output_type="np",
        ).images
        theirs = torch.from_numpy(images).float()
        if shift == 0:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        else:
            assert (ours - theirs).abs().amax((1, 2, 3)).min() > 1e-3


def test_guidance_goes_through_the_class_after_the_last(build_pipeline):
    """At scale 1 there is none; the null class is the number of classes, also where that is not 1000."""
    pipeline = build_pipeline("DiTPipeline", num_embeds_ada_norm=10)
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


@pytest.mark.parametrize("kind", ["StableDiffusionPipeline", "StableDiffusionXLPipeline"])
@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_a_text_to_image_pipeline_is_guided_as_it_guides_itself(draws, build_pipeline, conditions, kind, scale):
    """At scale 0, which few-step ones are made for, the network sees the prompt alone."""
    pipeline = build_pipeline(kind)
    generator = PretrainedGenerator(pipeline, sampling_steps=2, guidance_scale=scale, **conditions(kind))
    latents = generator.sample_latents(2, draws=draws(2))
    theirs = pipeline(
        [generator.prompts[number] for number in latents[:, 1].tolist()],
        height=16,
        width=16,
        guidance_scale=scale,
        generator=[torch.Generator().manual_seed(seed) for seed in latents[:, 0].tolist()],
        num_inference_steps=2,
        output_type="np",
    ).images
    ours = generator(latents).permute(0, 2, 3, 1) / 2 + 0.5
    torch.testing.assert_close(ours, torch.from_numpy(theirs).float(), rtol=1e-4, atol=1e-4)


def test_a_ddpm_takes_its_thousand_steps_unless_told_otherwise(build_pipeline):
    assert PretrainedGenerator(build_pipeline("DDPMPipeline")).sampling_steps == 1000
    assert PretrainedGenerator(build_pipeline("ConsistencyModelPipeline")).sampling_steps == 1
