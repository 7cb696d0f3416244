"""Joint training of pipelines in a latent space: adapters or the network, exact resume, what is saved."""

from __future__ import annotations

import copy

import pytest
import torch

from synthcl.generators import load_generator, load_trainer
from synthcl.generators.diffusion.objective import levels, min_snr_weights
from synthcl.generators.fingerprint import fingerprint, fingerprint_of
from synthcl.generators.pretrained import PipelineTrainer
from synthcl.generators.registry import LATENT_PIPELINES
from synthcl.pipeline.randomness import Key

N = 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory, build_pipeline) -> dict[str, str]:
    """A saved pipeline of each kind."""
    root = tmp_path_factory.mktemp("pipelines")
    for name in LATENT_PIPELINES:
        build_pipeline(name).save_pretrained(str(root / name), safe_serialization=True)
    return {name: str(root / name) for name in LATENT_PIPELINES}


@pytest.fixture(params=LATENT_PIPELINES)
def kind(request) -> str:
    return request.param


@pytest.fixture
def make(folders, conditions):
    def make(kind: str, seed: int = 0, **options) -> PipelineTrainer:
        torch.manual_seed(seed)
        trainer = load_trainer(folders[kind], sampling_steps=2, **conditions(kind), **options)
        assert isinstance(trainer, PipelineTrainer)
        return trainer

    return make


def draws(step: int = 0):
    return Key.from_seed(0).child(step).at(torch.arange(N))


def real() -> torch.Tensor:
    return torch.rand(N, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1


def joint_step(trainer: PipelineTrainer, step: int, scale: float = 1.0) -> dict[str, torch.Tensor]:
    images = trainer.generator(trainer.generator.sample_latents(N, draws=draws(step)))
    return trainer.step(real(), draws(step), images=images, hard_gradient=scale * real().flip(0))


@pytest.mark.parametrize("options", [{}, {"lora_rank": 2}], ids=["whole", "adapters"])
def test_what_is_taken_up_is_known_by_what_is_opened_to_draw_from(folders, conditions, make, kind, options):
    opened = fingerprint(load_generator(folders[kind], **conditions(kind)))
    for seed in range(2):  # adapters begin with factors of the seed's
        assert fingerprint_of(*make(kind, seed, **options).origin) == opened
    trainer = make(kind, **options)
    joint_step(trainer, 0)
    assert (fingerprint_of(*trainer.origin) == opened) == bool(options), "the network learns, or adapters do"


def trained(trainer: PipelineTrainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in (*trainer.trained.values(), *trainer.averaged.values())]


def test_adapters_move_and_are_merged_into_what_is_saved(make, kind, tmp_path):
    trainer = make(kind, lora_rank=2, learning_rate=1e-2, warmup_steps=1)
    frozen = {name: p for name, p in trainer.generator.named_parameters() if not p.requires_grad}
    before = {name: p.detach().clone() for name, p in frozen.items()}
    latents = trainer.generator.sample_latents(N, draws=draws())
    with torch.no_grad():
        original = trainer.generator(latents)
    for step in range(4):
        joint_step(trainer, step)
    assert len(trainer.trained) > 0 and all("lora_" in name for name in trainer.trained)
    assert all(torch.equal(p, before[name]) for name, p in frozen.items())
    shared = dict(trainer.ema.named_parameters())
    assert all(shared[name] is p for name, p in frozen.items())
    with torch.no_grad():
        moved, average = trainer.generator(latents), trainer.ema(latents)
        assert (moved - original).abs().max() > 1e-3 and (moved - average).abs().max() > 1e-4
        trainer.save_pretrained(tmp_path / "joint")
        saved = load_generator(tmp_path / "joint")
        assert not any("lora" in name for name, _ in saved.named_parameters())
        torch.testing.assert_close(saved(latents), average, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("kind", "lora_rank"), [("DiTPipeline", None), *((kind, 2) for kind in LATENT_PIPELINES)])
def test_a_resumed_trainer_is_the_uninterrupted_one_bit_for_bit(make, kind, lora_rank):
    straight = make(kind, lora_rank=lora_rank, flip=True)
    for step in range(2):
        joint_step(straight, step)
    state = copy.deepcopy(straight.state_dict())
    resumed = make(kind, seed=1, lora_rank=lora_rank, flip=True)
    resumed.load_state_dict(state)
    for step in range(2, 4):
        first, second = joint_step(straight, step), joint_step(resumed, step)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(a, b) for a, b in zip(trained(straight), trained(resumed), strict=True))
    # Neither the autoencoder nor the text encoder is in a checkpoint.
    assert all("vae" not in name and "text_encoder" not in name for name in state["generator"])


def test_a_hard_gradient_of_zeros_changes_nothing_bit_for_bit(make, kind):
    plain, joint = make(kind), make(kind)
    for step in range(2):
        plain.step(real(), draws(step))
        joint_step(joint, step, scale=0.0)
    assert all(torch.equal(a, b) for a, b in zip(trained(plain), trained(joint), strict=True))


def test_the_loss_is_that_of_noisy_latents_without_condition(make, kind):
    trainer = make(kind)
    metrics = trainer.step(real(), draws())
    generator = make(kind).generator
    with torch.no_grad():
        clean = generator.adapter.encode(real())
        timesteps, noise = draws().integers("timesteps", 1000), draws().normal("noise", *clean.shape[1:])
        alpha, sigma = levels(generator.alphas_cumprod, timesteps)
        output = generator.predict(alpha * clean + sigma * noise, timesteps)
        weights = min_snr_weights(generator.alphas_cumprod, timesteps, 5.0, "epsilon")
        losses = [w * (o - n).square().mean() for w, o, n in zip(weights, output, noise, strict=True)]
    torch.testing.assert_close(metrics["loss_generator"], sum(losses) / N)


@pytest.mark.parametrize("kind", ["LDMPipeline", "DiTPipeline"])
def test_training_lowers_the_loss(make, kind):
    trainer = make(kind, lora_rank=4, learning_rate=1e-2, warmup_steps=1)
    losses = [trainer.step(real(), draws(step % 2))["loss_generator"].item() for step in range(20)]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_no_pipeline_is_made_from_nothing():
    with pytest.raises(ValueError, match="taken up, not made"):
        PipelineTrainer.create(16)
