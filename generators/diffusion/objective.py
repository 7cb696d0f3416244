"""What the network learns: to tell the noise in a noisy image, at every noise level at once.

Shapes: N samples, S pixels a side, T timesteps; images and noise (N, 3, S, S); alphas_cumprod (T,), whose square root
is alpha_t, and sigma_t^2 = 1 - alpha_t^2.
"""

from __future__ import annotations

import torch
from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction")


def check_prediction(name: str) -> str:
    """The name itself. Raises ValueError, with the choices, if it is none."""
    if name not in PREDICTIONS:
        raise ValueError(f"unknown prediction type {name!r}: choose from {', '.join(PREDICTIONS)}")
    return name


def check_schedule(prediction: str, alphas_cumprod: Tensor) -> None:
    """Raises ValueError for a noise schedule (T,) at whose end the prediction says nothing of the image: noise, in
    pure noise. alpha_T = 0 is what `rescale_betas_zero_snr` gives (Lin et al. 2024, arXiv 2305.08891)."""
    if prediction == "epsilon" and alphas_cumprod[-1] <= 0:
        raise ValueError(
            "its noise schedule ends in pure noise (rescale_betas_zero_snr), where the prediction type 'epsilon' tells "
            "nothing of the image; give a network of v_prediction, or one that was trained without that rescaling"
        )


def levels(alphas_cumprod: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of timesteps (N,), each (N, 1, 1, 1)."""
    alpha_squared = alphas_cumprod[timesteps][:, None, None, None]
    return alpha_squared.sqrt(), (1 - alpha_squared).sqrt()


def clean_image(output: Tensor, x: Tensor, alpha: float, sigma: float, prediction: str) -> Tensor:
    """The clean image that a network's output stands for, held in [-1, 1].

    epsilon: x0 = (x - sigma eps) / alpha (arXiv 2006.11239, eq. 15). v: x0 = alpha x - sigma v (Salimans and Ho 2022,
    arXiv 2202.00512, appendix D).
    """
    if prediction == "epsilon":
        clean = (x - sigma * output) / alpha
    else:
        clean = alpha * x - sigma * output
    return clean.clamp(-1, 1)


def target(images: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor, prediction: str) -> Tensor:
    """What the network should give: the noise, or v = alpha noise - sigma x0 (arXiv 2202.00512, section 4)."""
    return noise if prediction == "epsilon" else alpha * noise - sigma * images


def min_snr_weights(alphas_cumprod: Tensor, timesteps: Tensor, gamma: float, prediction: str) -> Tensor:
    """Weights (N,) of the samples' losses (min-SNR, Hang et al. 2023, arXiv 2303.09556, section 3.4).

    The loss of a clean image weighs min(SNR, gamma), with SNR = alpha^2 / sigma^2; the same in terms of the noise is
    min(SNR, gamma) / SNR, and in terms of v min(SNR, gamma) / (SNR + 1).
    """
    alpha_squared = alphas_cumprod[timesteps]
    snr = alpha_squared / (1 - alpha_squared)
    return snr.clamp(max=gamma) / (snr if prediction == "epsilon" else snr + 1)


def denoising_loss(output: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """The mean over samples of weight times mean squared error over pixels, ()."""
    return (weights * (output.float() - wanted).square().flatten(1).mean(1)).mean()


def flip(images: Tensor, uniform: Tensor) -> Tensor:
    """Mirror the images (N, 3, S, S) whose uniform number (N,) is below one half, left to right."""
    return torch.where(uniform[:, None, None, None] < 0.5, images.flip(-1), images)
