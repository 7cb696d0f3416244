"""One training step of a denoiser: what moves, and by how much."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import DDIMScheduler

N = 4


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_step_is_that_of_a_naive_loop(tiny, prediction):
    """Sample by sample, in plain sums: noising, min-SNR weight, squared error, clipping, warm-up, AdamW."""
    trainer = tiny.make_trainer(prediction, warmup_steps=10, flip=True, gradient_clip=0.05, weight_decay=0.1)
    unet = copy.deepcopy(trainer.generator.unet)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=5e-4 / 10, weight_decay=0.1)
    noise, timesteps, coins = (
        tiny.draws().normal("noise", 3, 8, 8),
        tiny.draws().integers("timesteps", 1000),
        tiny.draws().uniform("flip"),
    )
    assert 0 < (coins < 0.5).sum() < N
    alphas = DDIMScheduler().alphas_cumprod
    loss = 0.0
    for i, t in enumerate(timesteps.tolist()):
        image = tiny.real()[i].flip(-1) if coins[i] < 0.5 else tiny.real()[i]
        a, s = float(alphas[t]) ** 0.5, (1 - float(alphas[t])) ** 0.5
        output = unet((a * image + s * noise[i])[None], t).sample[0]
        wanted = noise[i] if prediction == "epsilon" else a * noise[i] - s * image
        snr = (a / s) ** 2
        weight = min(snr, 5) / (snr if prediction == "epsilon" else snr + 1)
        loss = loss + weight * (output - wanted).square().mean() / N
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in unet.parameters()]).norm()
    assert norm > 0.05
    for parameter in unet.parameters():
        parameter.grad *= 0.05 / norm
    optimizer.step()

    metrics = trainer.step(tiny.real(), tiny.draws())
    torch.testing.assert_close(metrics["loss_generator"], loss.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(metrics["gradient_realism"], norm, rtol=1e-3, atol=1e-5)
    for actual, expected in zip(trainer.generator.unet.parameters(), unet.parameters(), strict=True):
        # Adam's first step is lr times the sign of the gradient, so that rounding shows where it is near zero.
        torch.testing.assert_close(actual, expected, rtol=0, atol=2e-6)


def test_the_average_follows_by_a_decay_that_depends_on_the_step_alone(tiny):
    trainer = tiny.make_trainer(ema_decay=0.7)
    expected = tiny.weights(trainer.ema)
    for step in range(6):
        trainer.step(tiny.real(), tiny.draws(step))
        decay = min(0.7, (2 + step) / (11 + step))
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, tiny.weights(trainer.generator), strict=True)]
    for actual, wanted in zip(tiny.weights(trainer.ema), expected, strict=True):
        torch.testing.assert_close(actual, wanted)
    assert not any(p.requires_grad for p in trainer.ema.parameters())


def test_training_lowers_the_loss(tiny):
    trainer = tiny.make_trainer(learning_rate=3e-3, warmup_steps=1)
    losses = [trainer.step(tiny.real(), tiny.draws(step))["loss_generator"].item() for step in range(50)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_a_hard_gradient_of_zeros_changes_nothing_bit_for_bit(tiny):
    plain, joint = tiny.make_trainer(), tiny.make_trainer()
    for step in range(3):
        plain.step(tiny.real(), tiny.draws(step))
        tiny.joint_step(joint, step, scale=0.0)
    assert tiny.equal(tiny.weights(plain.generator), tiny.weights(joint.generator))
    assert tiny.equal(tiny.weights(plain.ema), tiny.weights(joint.ema))


def test_a_hard_gradient_lowers_its_loss(tiny):
    """With a weak denoising gradient and no bound to speak of, G goes where the learner's gradient sends it."""
    trainer = tiny.make_trainer(learning_rate=2e-3, warmup_steps=1)
    direction = torch.ones(N, 3, 8, 8)
    latents = trainer.generator.sample_latents(N, draws=tiny.draws())
    before = trainer.generator(latents).mean().item()
    for step in range(10):
        images = trainer.generator(latents)
        trainer.step(
            tiny.real(), tiny.draws(step), images=images, hard_gradient=direction / images.numel(), hard_bound=100.0
        )
    assert trainer.generator(latents).mean().item() < before - 0.05


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_the_hard_gradient_is_bounded_by_the_denoising_gradient(tiny, bound):
    trainer = tiny.make_trainer()
    reference = tiny.make_trainer()
    realism = reference._denoising_gradients(tiny.real(), tiny.draws())["gradient_realism"].clamp(max=1.0)
    expected = [p.grad.clone() for p in reference.trained.parameters()]
    metrics = tiny.joint_step(trainer, 0, scale=1e4, hard_bound=bound)
    added = [p.grad - e for p, e in zip(trainer.trained.parameters(), expected, strict=True)]
    torch.testing.assert_close(torch.nn.utils.get_total_norm(added), bound * realism, rtol=1e-3, atol=1e-5)
    assert metrics["hard_clipped"] == 1 and metrics["hard_ratio"] > bound
    assert tiny.joint_step(tiny.make_trainer(), 0, scale=1e-6, hard_bound=bound)["hard_clipped"] == 0


def test_nan_in_the_hard_gradient_is_not_hidden(tiny):
    metrics = tiny.joint_step(tiny.make_trainer(), 0, scale=float("nan"))
    assert metrics["hard_ratio"].isnan()


def test_gradients_are_averaged_where_the_trainer_says(tiny):
    """The hook sees the learner's gradient and the denoising gradient, each before it is bounded."""
    seen = []

    def synchronise(parameters):
        for parameter in parameters:
            seen.append(parameter.grad.norm())
            parameter.grad.zero_()

    trainer = tiny.make_trainer(synchronise=synchronise)
    before = tiny.weights(trainer.generator)
    metrics = tiny.joint_step(trainer, 0)
    assert len(seen) == 2 * len(before) and all(norm > 0 for norm in seen[:3])
    assert metrics["gradient_realism"] == 0 and tiny.equal(before, tiny.weights(trainer.generator))


def test_two_halves_of_a_batch_average_to_the_whole(tiny):
    """What each process computes of its half, averaged, is what one process computes of it all."""
    whole, gradients = tiny.make_trainer(gradient_clip=1e9), []
    whole._denoising_gradients(tiny.real(), tiny.draws())
    for half in (slice(0, 2), slice(2, 4)):
        part = tiny.make_trainer(gradient_clip=1e9)
        part._denoising_gradients(tiny.real()[half], tiny.draws()[half])
        gradients.append([p.grad for p in part.trained.parameters()])
    for parameter, first, second in zip(whole.trained.parameters(), *gradients, strict=True):
        torch.testing.assert_close(parameter.grad, (first + second) / 2, rtol=1e-3, atol=1e-6)


def test_bf16_runs_the_network_only(tiny):
    trainer = tiny.make_trainer(precision="bf16")
    metrics = tiny.joint_step(trainer, 0)
    assert trainer.ema.computes_in == "bf16" and metrics["loss_generator"].dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in trainer.generator.parameters())
    exact = tiny.joint_step(tiny.make_trainer(), 0)
    assert metrics["loss_generator"] != exact["loss_generator"]
    torch.testing.assert_close(metrics["loss_generator"], exact["loss_generator"], rtol=0.05, atol=0.01)


def test_a_gradient_needs_images_with_a_graph(tiny):
    trainer = tiny.make_trainer()
    with pytest.raises(ValueError, match=r"outside torch\.no_grad"):
        trainer.step(tiny.real(), tiny.draws(), images=tiny.real(), hard_gradient=tiny.real())
    with pytest.raises(ValueError, match=r"outside torch\.no_grad"):
        trainer.step(tiny.real(), tiny.draws(), hard_gradient=tiny.real())
    with pytest.raises(ValueError, match=r"shape of real, \(4, 3, 8, 8\), not \(2, 3, 8, 8\)"):
        trainer.step(tiny.real(), tiny.draws(), images=tiny.real()[:2], hard_gradient=tiny.real())
