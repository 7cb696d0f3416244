"""Pipelines in a latent space: the same images as for shards, but for the rounding of some processors' kernels where
the adapter is there, and a gradient from them to the network."""

from __future__ import annotations

import pytest
import torch

from synthcl.generators import OptionError
from synthcl.generators.pretrained import PretrainedGenerator, TrainablePipeline, trainable
from synthcl.generators.registry import LATENT_PIPELINES

STEPS = 3
ROUNDING = {"rtol": 0.0, "atol": 1e-5}
"""A hundredth of a level of 255 is 8e-5; 1e-6 was found on an AMD EPYC, none on an Intel Xeon."""


@pytest.fixture(params=LATENT_PIPELINES)
def kind(request) -> str:
    return request.param


@pytest.fixture
def make(build_pipeline, conditions):
    def make(kind: str, cls: type = TrainablePipeline, **options):
        return cls(build_pipeline(kind), **{"sampling_steps": STEPS, **conditions(kind), **options})

    return make


def gradients(generator: PretrainedGenerator, images: torch.Tensor) -> list[torch.Tensor]:
    """Of a weighted sum of the images, at the network's weights."""
    weights = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return torch.autograd.grad(
        (images * weights).sum(),
        list(generator.adapter.network.parameters()),
        allow_unused=True,
        materialize_grads=True,
    )


@pytest.mark.parametrize("gradient_steps", [1, 2, STEPS])
def test_images_are_those_for_shards_and_the_gradient_is_that_of_a_plain_pass(make, draws, kind, gradient_steps):
    frozen, learning = make(kind, PretrainedGenerator), make(kind, gradient_steps=gradient_steps)
    latents = learning.sample_latents(2, draws=draws(2))
    images = learning(latents)
    assert images.requires_grad
    torch.testing.assert_close(images, frozen(latents), **ROUNDING)
    # Nothing run again, and all in one.
    frozen.gradient_steps = gradient_steps
    plain = frozen._finish(frozen._solve(latents))
    found, wanted = (torch.cat([g.flatten() for g in gradients(*one)]) for one in ((learning, images), (frozen, plain)))
    assert wanted.abs().sum() > 0
    # As a whole: where rounding takes a pixel across the end of its range, some numbers change by themselves.
    assert (found - wanted).norm() < 1e-3 * wanted.norm()


def test_more_steps_carry_another_gradient(make, draws, kind):
    first, last = (make(kind, gradient_steps=steps) for steps in (1, STEPS))
    latents = first.sample_latents(2, draws=draws(2))
    found = [torch.cat([g.flatten() for g in gradients(one, one(latents))]) for one in (first, last)]
    assert (found[0] - found[1]).abs().max() > 1e-3 * found[1].abs().max()


def test_little_is_kept_for_the_way_back_and_the_decoder_stays_as_it_is(make, draws, kind, monkeypatch):
    """Bytes that wait for the way back, and which weights get a gradient."""

    def kept(generator: PretrainedGenerator) -> tuple[int, torch.Tensor]:
        found: dict[int, int] = {}
        weights = {parameter.data_ptr() for parameter in generator.parameters()}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.data_ptr() not in weights:
                found[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            images = generator._finish(generator._solve(latents))
        return sum(found.values()), images

    learning, frozen = make(kind), make(kind, PretrainedGenerator)
    frozen.gradient_steps = 1
    monkeypatch.setattr(trainable, "DECODED_PIXELS", 2 * learning.image_size**2)
    latents = learning.sample_latents(5, draws=draws(5))
    (little, images), (much, plain) = kept(learning), kept(frozen)
    assert little < much / 5
    torch.testing.assert_close(images, plain, rtol=0, atol=1e-3)
    images.sum().backward()
    network = {id(parameter) for parameter in learning.network.parameters()}
    others = [parameter for parameter in learning.parameters() if id(parameter) not in network]
    assert others and all(parameter.grad is None for parameter in others)


def test_a_prediction_is_of_no_class_and_no_prompt(make, draws, kind):
    generator = make(kind)
    network, adapter = generator.network, generator.adapter
    x = draws(3).normal("x", *adapter.noise_shape)
    t = torch.tensor([5, 500, 900])
    with torch.no_grad():
        if kind == "LDMPipeline":
            wanted = network(x, t).sample
        elif kind == "DiTPipeline":
            wanted = network(x, timestep=t, class_labels=torch.tensor([1000] * 3)).sample[:, :4]
        else:
            condition = adapter.prepare(None, [""] * 3)
            assert adapter.guided
            # Where it is guided, what is without prompt comes first.
            arguments = {"encoder_hidden_states": condition["encoder_hidden_states"][:3]}
            if "XL" in kind:
                arguments["added_cond_kwargs"] = {n: v[:3] for n, v in condition["added_cond_kwargs"].items()}
            wanted = network(x, t, **arguments).sample
        found = generator.predict(x, t)
        assert torch.equal(generator.predict(x[:1], t[0]), generator.predict(x[:1], t[:1]))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert found.dtype == torch.float32 and found.shape == x.shape


def test_what_is_diffused_is_what_the_decoder_makes_images_of(make, kind):
    generator = make(kind)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = generator.diffused(images)
    assert found.shape == (2, *generator.adapter.noise_shape) and not found.requires_grad
    torch.testing.assert_close(found, generator.adapter.encode(images).detach(), rtol=0, atol=0)
    with torch.no_grad():
        assert generator.decode(found).shape == images.shape


def test_the_precision_is_the_networks_and_the_decoders(make, draws, kind):
    generator = make(kind)
    latents = generator.sample_latents(2, draws=draws(2))
    exact = generator(latents)
    generator.computes_in = "bf16"
    images = generator(latents)
    assert images.dtype == torch.float32 and not torch.equal(images, exact)
    assert all(gradient.isfinite().all() for gradient in gradients(generator, images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 8}, "makes images of 16 pixels, and learns at that size alone, not at 8"),
        ({"gradient_steps": 0}, "gradient_steps must be at least 1, not 0"),
        ({"sampling_steps": 0}, "must be from 1 to 1000, not 0"),
    ],
)
def test_options_that_cannot_be_are_refused(make, options, message):
    with pytest.raises(OptionError, match=message):
        make("DiTPipeline", **options)


def test_the_solver_can_be_changed_and_is_saved(make, tmp_path, draws):
    make("DiTPipeline").save_pretrained(tmp_path / "before")
    generator = TrainablePipeline.from_pretrained(tmp_path / "before")
    generator.configure(sampler="dpm", sampling_steps=2, gradient_steps=2)
    assert generator.gradient_steps == 2
    generator.save_pretrained(tmp_path / "after")
    loaded = PretrainedGenerator.from_pretrained(tmp_path / "after")
    assert loaded.sampling_steps == 2 and type(loaded.scheduler).__name__ == "DPMSolverMultistepScheduler"
    latents = loaded.sample_latents(2, draws=draws(2))
    with torch.no_grad():
        torch.testing.assert_close(loaded(latents), generator(latents), **ROUNDING)


def test_a_prediction_of_another_kind_is_refused(build_pipeline):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(clip_sample=False, prediction_type="sample")
    with pytest.raises(ValueError, match="unknown prediction type 'sample'"):
        TrainablePipeline(build_pipeline("DiTPipeline", scheduler=scheduler))
