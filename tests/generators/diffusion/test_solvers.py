"""The solvers against diffusers' schedulers, and against what they must do exactly."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from synthcl.generators.diffusion.objective import clean_image
from synthcl.generators.diffusion.solvers import check_sampler, coefficients, solve, trailing_timesteps

SCHEDULE = {"num_train_timesteps": 1000, "timestep_spacing": "trailing"}
ALPHAS = DDIMScheduler(**SCHEDULE).alphas_cumprod.tolist()


def predicted(x: torch.Tensor, t: int) -> torch.Tensor:
    """A smooth stand-in for a network's prediction of the clean image, which depends on x and on t."""
    return torch.tanh(0.7 * x + 0.3 * torch.sin(x.flip(-1)) + t / 500 - 1)


def noise(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def schedulers(sampler: str):
    if sampler == "ddim":
        return DDIMScheduler(**SCHEDULE, prediction_type="sample", clip_sample=False)
    return DPMSolverMultistepScheduler(**SCHEDULE, prediction_type="sample", algorithm_type="dpmsolver++")


# diffusers' DDIM steps down by 1000 // steps whatever its timesteps are, so that only divisors can be compared.
@pytest.mark.parametrize(
    ("sampler", "steps"),
    [("ddim", 1), ("ddim", 2), ("ddim", 20), ("dpm", 1), ("dpm", 2), ("dpm", 7), ("dpm", 20)],
)
def test_the_solvers_take_the_steps_of_diffusers_schedulers(sampler, steps):
    scheduler = schedulers(sampler)
    scheduler.set_timesteps(steps)
    timesteps = trailing_timesteps(1000, steps)
    assert scheduler.timesteps.tolist() == timesteps
    expected = noise()
    for t in scheduler.timesteps:
        expected = scheduler.step(predicted(expected, int(t)), t, expected).prev_sample
    actual = solve(predicted, noise(), timesteps, ALPHAS, sampler=sampler)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_schedule_that_ends_in_pure_noise_is_solved_as_the_one_that_nearly_does(sampler, steps):
    timesteps = trailing_timesteps(1000, steps)
    pure, near = ([*ALPHAS[:-1], last] for last in (0.0, 1e-60))
    found, expected = (solve(predicted, noise(), timesteps, alphas, sampler=sampler) for alphas in (pure, near))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


def test_the_samplers_differ():
    first, second = (solve(predicted, noise(), trailing_timesteps(1000, 5), ALPHAS, sampler=s) for s in ("ddim", "dpm"))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_a_perfect_prediction_is_reached_from_any_strength(sampler):
    clean = noise().clamp(-1, 1)
    for strength in (0.01, 0.3, 1.0):
        timesteps = trailing_timesteps(1000, 6, strength)
        alpha, sigma = coefficients(ALPHAS, timesteps[0])
        x = alpha * clean + sigma * noise().flip(0)

        def predict(x, t):
            expected_alpha, _ = coefficients(ALPHAS, t)
            assert x.shape == clean.shape and expected_alpha > 0
            return clean

        torch.testing.assert_close(solve(predict, x, timesteps, ALPHAS, sampler=sampler), clean)


def test_timesteps_go_down_from_the_strength_to_near_zero():
    assert trailing_timesteps(1000, 4) == [999, 749, 499, 249]
    assert trailing_timesteps(1000, 2, 0.5) == [499, 249]
    assert trailing_timesteps(1000, 5, 0.002) == [1, 0]
    assert trailing_timesteps(1000, 5, 1e-9) == [0]
    assert trailing_timesteps(1000, 1000) == list(range(999, -1, -1))


@pytest.mark.parametrize("steps", [0, 1001, -1])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match=f"from 1 to 1000, not {steps}"):
        trailing_timesteps(1000, steps)


@pytest.mark.parametrize("strength", [0.0, 1.01, -0.5, float("nan")])
def test_impossible_strengths_are_refused(strength):
    with pytest.raises(ValueError, match=f"at most 1, not {strength}"):
        trailing_timesteps(1000, 10, strength)


def test_an_unknown_sampler_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'euler': choose from ddim, dpm"):
        check_sampler("euler")


@pytest.mark.parametrize("gradient_steps", [1, 2, 5, None])
def test_only_the_last_steps_carry_a_gradient(gradient_steps):
    """Each step has a weight of its own here: its gradient says whether the step was in the graph."""
    timesteps = trailing_timesteps(1000, 5)
    weights = {t: torch.zeros((), dtype=torch.float64, requires_grad=True) for t in timesteps}
    images = solve(
        lambda x, t: predicted(x + weights[t], t),
        noise(),
        timesteps,
        ALPHAS,
        sampler="dpm",
        gradient_steps=gradient_steps,
    )
    images.square().sum().backward()
    carried = [t for t in timesteps if weights[t].grad is not None and weights[t].grad != 0]
    assert carried == timesteps[-(gradient_steps or 5) :]


def test_the_gradient_of_a_solve_is_that_of_finite_differences():
    timesteps = trailing_timesteps(1000, 4)
    x = noise(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: solve(predicted, x, timesteps, ALPHAS, sampler="dpm"), (x,), atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("t", [0, 400, 999])
def test_a_true_output_gives_the_clean_image(prediction, t):
    clean, eps = noise().clamp(-1, 1), noise().flip(0)
    alpha, sigma = coefficients(ALPHAS, t)
    output = eps if prediction == "epsilon" else alpha * eps - sigma * clean
    x = alpha * clean + sigma * eps
    torch.testing.assert_close(clean_image(output, x, alpha, sigma, prediction), clean, rtol=1e-6, atol=1e-6)


def test_a_prediction_is_held_in_range():
    x = torch.full((1, 3, 2, 2), 5.0)
    assert clean_image(torch.zeros_like(x), x, 0.5, 0.8, "epsilon").max() == 1
