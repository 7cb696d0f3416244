"""Few-step solvers of the diffusion's probability-flow equation: DDIM and DPM-Solver++(2M).

Both are written as one update in the predicted clean image, without a state that outlives a call, so that a solve can
start part of the way down, and carry a gradient through its last steps. diffusers' schedulers do the same sums.

Shapes: N samples, S pixels a side; images and noise (N, 3, S, S). At timestep t of T a noisy image is
x = alpha_t x0 + sigma_t noise, alpha_t^2 = `alphas_cumprod[t]`, sigma_t^2 = 1 - alpha_t^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import OptionError

SAMPLERS = ("ddim", "dpm")

Predictor = Callable[[Tensor, int], Tensor]
"""(x, t) -> the predicted clean image, in [-1, 1]."""


def check_sampler(name: str) -> str:
    """The name itself. Raises ValueError, with the choices, if it is none."""
    if name not in SAMPLERS:
        raise OptionError(f"unknown sampler {name!r}: choose from {', '.join(SAMPLERS)}")
    return name


def trailing_timesteps(num_timesteps: int, steps: int, strength: float = 1.0) -> list[int]:
    """`steps` timesteps, evenly spaced, the first at the top: "trailing" (Lin et al. 2024, arXiv 2305.08891).

    Args:
        num_timesteps: T.
        steps: how many, from 1 to T; fewer are given where there are not so many below the top.
        strength: the top is timestep round(strength T) - 1; in (0, 1].

    Raises:
        ValueError: `steps` or `strength` out of range.
    """
    if not 1 <= steps <= num_timesteps:
        raise OptionError(f"the number of sampling steps must be from 1 to {num_timesteps}, not {steps}")
    if not 0 < strength <= 1:
        raise OptionError(f"the strength must be above 0 and at most 1, not {strength}")
    top = max(round(strength * num_timesteps), 1)
    steps = min(steps, top)
    return [round(top - i * top / steps) - 1 for i in range(steps)]


def coefficients(alphas_cumprod: Sequence[float], t: int) -> tuple[float, float]:
    """alpha_t and sigma_t."""
    alpha_squared = alphas_cumprod[t]
    return math.sqrt(alpha_squared), math.sqrt(1 - alpha_squared)


def _log_ratio(alpha: float, sigma: float) -> float:
    """log(alpha / sigma); of pure noise, alpha = 0, minus infinity."""
    return math.log(alpha / sigma) if alpha > 0 else -math.inf


def solve(
    predict: Predictor,
    x: Tensor,
    timesteps: Sequence[int],
    alphas_cumprod: Sequence[float],
    *,
    sampler: str,
    gradient_steps: int | None = None,
) -> Tensor:
    """The clean image at the end of the path that leads down from x.

    Each step is x' = r x + (alpha' - r alpha) D with r = sigma' / sigma. With D = x0, the prediction, this is DDIM with
    eta = 0 (Song et al. 2021, arXiv 2010.02502, eq. 12). DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm
    2) extrapolates D from the last two predictions, in steps h of log(alpha / sigma), except at the first and the last.

    Args:
        predict: gives x0.
        x: (N, 3, S, S) at noise level `timesteps[0]`.
        timesteps: decreasing.
        alphas_cumprod: T numbers.
        sampler: `ddim` or `dpm`.
        gradient_steps: K, how many of the last steps carry a gradient: DRaFT-K (Clark et al. 2024, arXiv 2309.17400,
            section 4). All of them if not given.

    Returns:
        (N, 3, S, S), the last prediction.
    """
    without_gradient = 0 if gradient_steps is None else max(len(timesteps) - gradient_steps, 0)
    previous, previous_level = None, math.nan
    for i, t in enumerate(timesteps):
        alpha, sigma = coefficients(alphas_cumprod, t)
        with torch.set_grad_enabled(torch.is_grad_enabled() and i >= without_gradient):
            clean = predict(x, t)
            if i + 1 == len(timesteps):
                return clean
            next_alpha, next_sigma = coefficients(alphas_cumprod, timesteps[i + 1])
            direction = clean
            if sampler == "dpm" and previous is not None:
                h = _log_ratio(next_alpha, next_sigma) - _log_ratio(alpha, sigma)
                # From pure noise the last step was infinitely long, and nothing is extrapolated.
                direction = clean + (clean - previous) * (h / (2 * (_log_ratio(alpha, sigma) - previous_level)))
            ratio = next_sigma / sigma
            x = ratio * x + (next_alpha - ratio * alpha) * direction
            previous, previous_level = clean, _log_ratio(alpha, sigma)
    raise ValueError("there must be at least one timestep")
