"""Where the diffusion's trainer comes from and goes to: exact resume, adapters, options."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

from synthcl.generators import load_generator
from synthcl.generators.diffusion import DiffusionGenerator, DiffusionTrainer
from synthcl.generators.diffusion.presets import PRESETS

N = 4


def test_dropout_of_anothers_network_draws_nothing(tiny, tmp_path):
    """A sample stays a function of its latent, and a step one of its draws, whatever torch's generator holds."""
    torch.manual_seed(0)
    unet = UNet2DModel(**tiny.network, dropout=0.5)
    DDPMPipeline(unet=unet, scheduler=DDPMScheduler()).save_pretrained(str(tmp_path))

    def stepped(seed: int) -> list[torch.Tensor]:
        trainer = DiffusionTrainer.from_pretrained(tmp_path, sampling_steps=2)
        torch.manual_seed(seed)
        tiny.joint_step(trainer, 0)
        return [*tiny.weights(trainer.generator), *tiny.weights(trainer.ema)]

    assert tiny.equal(stepped(1), stepped(2))
    trainer = DiffusionTrainer.from_pretrained(tmp_path, sampling_steps=2)
    generator = DiffusionGenerator(unet, trainer.generator.scheduler, sampling_steps=2)
    latents = generator.sample_latents(2)
    with torch.no_grad():
        assert torch.equal(trainer.generator(latents), trainer.ema(latents))
        assert torch.equal(generator.train()(latents), trainer.ema(latents))


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_a_resumed_trainer_is_the_uninterrupted_one_bit_for_bit(tiny, tmp_path, lora_rank):
    tiny.make_trainer().save_pretrained(tmp_path)

    def fresh(seed: int) -> DiffusionTrainer:
        torch.manual_seed(seed)
        return DiffusionTrainer.from_pretrained(tmp_path, lora_rank=lora_rank, flip=True, warmup_steps=5)

    straight = fresh(0)
    for step in range(3):
        tiny.joint_step(straight, step)
    state = copy.deepcopy(straight.state_dict())
    resumed = fresh(1)
    resumed.load_state_dict(state)
    for step in range(3, 6):
        first, second = tiny.joint_step(straight, step), tiny.joint_step(resumed, step)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert tiny.equal(tiny.weights(straight.generator), tiny.weights(resumed.generator))
    assert tiny.equal(tiny.weights(straight.ema), tiny.weights(resumed.ema))
    assert not tiny.equal(tiny.weights(straight.generator), tiny.weights(straight.ema))


def test_adapters_move_and_the_network_does_not(tiny, tmp_path):
    tiny.make_trainer().save_pretrained(tmp_path / "base")
    torch.manual_seed(0)
    trainer = DiffusionTrainer.from_pretrained(tmp_path / "base", lora_rank=2, learning_rate=1e-2, warmup_steps=1)
    frozen = {name: p for name, p in trainer.generator.named_parameters() if not p.requires_grad}
    before = {name: p.detach().clone() for name, p in frozen.items()}
    latents = trainer.generator.sample_latents(N, draws=tiny.draws())
    with torch.no_grad():
        original = DiffusionGenerator.from_pretrained(tmp_path / "base")(latents)
        assert torch.equal(trainer.generator(latents), original)
    for step in range(8):
        tiny.joint_step(trainer, step)
    assert all("lora_" in name for name in trainer.trained) and len(trainer.trained) > 0
    assert sum(p.numel() for p in trainer.trained.values()) < 0.5 * sum(p.numel() for p in frozen.values())
    assert all(torch.equal(p, before[name]) for name, p in frozen.items())
    shared = dict(trainer.ema.named_parameters())
    assert all(shared[name] is p for name, p in frozen.items())
    with torch.no_grad():
        moved, average = trainer.generator(latents), trainer.ema(latents)
        assert (moved - original).abs().max() > 1e-3 and (moved - average).abs().max() > 1e-3

        trainer.save_pretrained(tmp_path / "joint")
        merged = load_generator(tmp_path / "joint")
        assert not any("lora" in name for name, _ in merged.named_parameters())
        torch.testing.assert_close(merged(latents), average, rtol=0, atol=1e-3)
        torch.testing.assert_close(trainer.ema(latents), average, rtol=0, atol=0)


def test_the_learners_gradient_reaches_every_adapter_and_nothing_else(tiny, tmp_path):
    tiny.make_trainer().save_pretrained(tmp_path)
    trainer = DiffusionTrainer.from_pretrained(tmp_path, lora_rank=2)
    with torch.no_grad():  # the second factors begin at zero, which hides the first from the gradient
        for parameter in trainer.trained.values():
            parameter.normal_(std=0.1)
    images = trainer.generator(trainer.generator.sample_latents(N, draws=tiny.draws()))
    gradients = dict(zip(trainer.trained, trainer._hard_gradients(images, tiny.real()), strict=True))
    assert len(gradients) > 8 and all("lora_" in name for name in gradients)
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients.values())
    others = [p for name, p in trainer.generator.named_parameters() if "lora_" not in name]
    assert others and all(p.grad is None for p in others)


def test_options_of_the_solver_reach_both_generators():
    trainer = DiffusionTrainer.create(8, preset="tiny", sampler="ddim", sampling_steps=7, prediction="v_prediction")
    for generator in (trainer.generator, trainer.ema):
        assert (generator.sampler, generator.sampling_steps, generator.prediction) == ("ddim", 7, "v_prediction")


def test_the_learning_rate_is_the_presets_unless_given():
    assert DiffusionTrainer.create(8, preset="tiny").learning_rate == PRESETS["tiny"].learning_rate
    assert DiffusionTrainer.create(8, preset="tiny", learning_rate=0.1).learning_rate == 0.1
