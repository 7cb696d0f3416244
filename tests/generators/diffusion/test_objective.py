"""The denoising loss against naive references."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from synthcl.generators.diffusion import objective

SCHEDULER = DDPMScheduler(num_train_timesteps=1000)
ALPHAS = SCHEDULER.alphas_cumprod
TIMESTEPS = torch.tensor([0, 3, 250, 600, 999])


def images_and_noise() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(5, 3, 4, 4, generator=generator) for _ in range(2))


@pytest.mark.parametrize("gamma", [1.0, 5.0, 1e9])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_weights_are_those_of_a_loop(prediction, gamma):
    expected = []
    for t in TIMESTEPS.tolist():
        alpha_squared = float(ALPHAS[t])
        snr = alpha_squared / (1 - alpha_squared)
        expected.append(min(snr, gamma) / (snr if prediction == "epsilon" else snr + 1))
    weights = objective.min_snr_weights(ALPHAS, TIMESTEPS, gamma, prediction)
    torch.testing.assert_close(weights, torch.tensor(expected), rtol=1e-3, atol=1e-7)


def test_without_a_bound_the_noise_is_weighted_evenly_as_in_ddpm():
    assert torch.equal(objective.min_snr_weights(ALPHAS, TIMESTEPS, float("inf"), "epsilon"), torch.ones(5))


def test_both_predictions_give_the_same_loss_of_the_same_clean_image():
    """min-SNR weighs the clean image's error; in terms of the noise or of v it is the same number."""
    images, noise = images_and_noise()
    guess = images + 0.1 * noise.flip(0)
    alpha, sigma = objective.levels(ALPHAS, TIMESTEPS)
    x = alpha * images + sigma * noise
    outputs = {"epsilon": (x - alpha * guess) / sigma, "v_prediction": (alpha * x - guess) / sigma}
    losses = []
    for prediction, output in outputs.items():
        wanted = objective.target(images, noise, alpha, sigma, prediction)
        weights = objective.min_snr_weights(ALPHAS, TIMESTEPS, 5.0, prediction)
        losses.append(objective.denoising_loss(output, wanted, weights))
    snr = (alpha / sigma).square().flatten()
    expected = (snr.clamp(max=5.0) * (guess - images).square().mean((1, 2, 3))).mean()
    torch.testing.assert_close(losses[0], expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(losses[1], expected, rtol=1e-3, atol=1e-4)


def test_noising_and_targets_are_those_of_diffusers():
    images, noise = images_and_noise()
    alpha, sigma = objective.levels(ALPHAS, TIMESTEPS)
    torch.testing.assert_close(alpha * images + sigma * noise, SCHEDULER.add_noise(images, noise, TIMESTEPS))
    velocity = objective.target(images, noise, alpha, sigma, "v_prediction")
    torch.testing.assert_close(velocity, SCHEDULER.get_velocity(images, noise, TIMESTEPS))
    assert torch.equal(objective.target(images, noise, alpha, sigma, "epsilon"), noise)


def test_flips_follow_their_own_draws():
    images, _ = images_and_noise()
    flipped = objective.flip(images, torch.tensor([0.1, 0.9, 0.49, 0.5, 0.0]))
    assert [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)] == [False, True, False, True, False]
    assert torch.equal(flipped[0], images[0].flip(-1))


def test_an_unknown_prediction_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'sample': choose from epsilon, v_prediction"):
        objective.check_prediction("sample")
