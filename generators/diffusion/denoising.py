"""What trains a generator that denoises, alone or together with a learner, wherever its diffusion takes place.

Shapes: N samples, S pixels a side; images (N, 3, S, S) float32 in [-1, 1]. The diffusion is of (N, c, s, s): the images
themselves, or their latents.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..base import Draws, Generator, GeneratorTrainer, Synchronise, no_synchronisation
from ..ema import MovingAverage
from ..precision import check_trained_precision
from ..schedules import check_range, check_total_steps, final_decay, part_done
from .objective import denoising_loss, flip, levels, min_snr_weights, target

if TYPE_CHECKING:
    from typing_extensions import Self

_OPTIONS = (
    "learning_rate", "warmup_steps", "decay", "weight_decay", "snr_gamma", "gradient_clip", "ema_decay", "flip",
)  # fmt: skip


class Denoiser(Generator):
    """A generator that `DenoisingTrainer` trains: a network that predicts noise, and a solver that draws with it."""

    prediction: str
    """What the network gives: a name of `objective.PREDICTIONS`."""

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, in training too: dropout would draw its masks from torch's global generator. Then a
        sample would be no function of its latent, and a training that goes on another one than the uninterrupted."""
        return super().train(False)

    @property
    @abstractmethod
    def network(self) -> Any:
        """What predicts, a model of diffusers: one of the modules in it."""

    @property
    @abstractmethod
    def alphas_cumprod(self) -> Tensor:
        """(T,) float32: alpha_t^2 of each timestep of training."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where its weights are."""

    @abstractmethod
    def configure(
        self, *, sampler: str | None = None, sampling_steps: int | None = None, gradient_steps: int | None = None
    ) -> None:
        """Change the solver; what is None stays. Raises ValueError for a value out of range."""

    @abstractmethod
    def predict(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """The network's output (N, c, s, s) float32, without any condition, for noisy x at timesteps () or (N,)."""

    def diffused(self, images: Tensor) -> Tensor:
        """What the diffusion is of, (N, c, s, s), for images (N, 3, S, S)."""
        return images


class DenoisingTrainer(GeneratorTrainer):
    """Trains a network to denoise: DDPM's loss with min-SNR weights (arXiv 2303.09556), AdamW, EMA.

    Joint training adds the learner's gradient on the images that the solver drew; the denoising loss is what keeps them
    on the data.

    Args:
        generator: G, with the weights to start from; those that take a gradient are trained.
        device: where it is to be.
        learning_rate: AdamW's; kinds choose one that suits the network.
        warmup_steps: the learning rate rises linearly over the first of them (ours).
        decay: the last part of the training, in [0, 1], over which it falls to 0 along a half cosine (ours); 0 is none.
        total_steps: how many steps there will be, for `decay`. Without it the learning rate does not fall.
        weight_decay: AdamW's.
        snr_gamma: of the min-SNR weights; 5 as in the paper.
        gradient_clip: the largest norm of the denoising gradient; 1 is ours, and usual.
        ema_decay: of G's moving average, a step.
        ema_warmup: ramp the decay up from 0, for a fresh G; a G and an average that start equal need none.
        flip: mirror half of the images, left to right. Not for digits or text.
        precision: fp32, or bf16 for the network; weights, loss, solver and optimizer stay in fp32.
        sampler: of G and its average. As G has it if not given; likewise the next two.
        sampling_steps: network evaluations an image.
        gradient_steps: how many of the last carry the learner's gradient.
        synchronise: averages gradients over processes.
    """

    generator: Denoiser
    ema: Denoiser

    def __init__(
        self,
        generator: Denoiser,
        *,
        device: torch.device | str | None = None,
        learning_rate: float = 5e-4,
        warmup_steps: int = 100,
        decay: float = 0.0,
        total_steps: int | None = None,
        weight_decay: float = 0.0,
        snr_gamma: float = 5.0,
        gradient_clip: float = 1.0,
        ema_decay: float = 0.999,
        ema_warmup: bool = True,
        flip: bool = False,
        precision: str = "fp32",
        sampler: str | None = None,
        sampling_steps: int | None = None,
        gradient_steps: int | None = None,
        synchronise: Synchronise = no_synchronisation,
    ) -> None:
        generator.configure(sampler=sampler, sampling_steps=sampling_steps, gradient_steps=gradient_steps)
        generator.computes_in = check_trained_precision(precision)
        self.generator = generator.to(device).eval()
        self.ema = _average_of(self.generator)
        self.learning_rate, self.warmup_steps = learning_rate, warmup_steps
        self.decay = check_range("decay", decay, minimum=0, maximum=1)
        self.total_steps = check_total_steps(total_steps)
        self.snr_gamma, self.gradient_clip = snr_gamma, gradient_clip
        self.weight_decay = weight_decay
        self.ema_decay, self.flip, self.synchronise = ema_decay, flip, synchronise
        self.alphas_cumprod = generator.alphas_cumprod.to(self.generator.device)
        names = [name for name, parameter in self.generator.named_parameters() if parameter.requires_grad]
        self.trained = nn.ParameterDict({n.replace(".", "/"): self.generator.get_parameter(n) for n in names})
        self.averaged = nn.ParameterDict({n.replace(".", "/"): self.ema.get_parameter(n) for n in names})
        self.average = MovingAverage(self.averaged.parameters(), self.trained.parameters(), warmup=ema_warmup)
        self.optimizer = torch.optim.AdamW(
            self.trained.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True
        )
        self.num_steps = 0

    @property
    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OPTIONS}

    def step(
        self,
        real: Tensor,
        draws: Draws,
        *,
        images: Tensor | None = None,
        hard_gradient: Tensor | None = None,
        hard_bound: float | Tensor = 1.0,
        bound_on: str = "parameters",
    ) -> dict[str, Tensor]:
        """One update of the network, then one of the average. See `GeneratorTrainer.step`."""
        _check_images(real, images, hard_gradient)
        hard = None
        if images is not None and hard_gradient is not None:  # both or neither
            hard = self._hard_gradients(images, hard_gradient)
        metrics = self._denoising_gradients(real, draws)
        if hard is not None:
            metrics |= self._add(hard, metrics["gradient_realism"].clamp(max=self.gradient_clip), hard_bound)
        factor = min(1.0, (self.num_steps + 1) / max(self.warmup_steps, 1))
        factor *= final_decay(part_done(self.num_steps, self.total_steps), self.decay)
        for group in self.optimizer.param_groups:
            group["lr"] = factor * self.learning_rate
        self.optimizer.step()
        self.average.update(self.num_steps, self.ema_decay)
        self.num_steps += 1
        return metrics

    def _hard_gradients(self, images: Tensor, hard_gradient: Tensor) -> list[Tensor]:
        """The learner's gradient on each trained parameter, averaged over processes."""
        self.optimizer.zero_grad(set_to_none=False)
        images.backward(hard_gradient)
        self.synchronise(self.trained.parameters())
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self.trained.parameters()]

    def _denoising_gradients(self, real: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Leave the clipped gradient of the denoising loss on the parameters."""
        device = real.device
        if self.flip:
            real = flip(real, draws.uniform("flip").to(device))
        real = self.generator.diffused(real)
        timesteps = draws.integers("timesteps", len(self.alphas_cumprod)).to(device)
        noise = draws.normal("noise", *real.shape[1:]).to(device)
        alpha, sigma = levels(self.alphas_cumprod, timesteps)
        prediction = self.generator.prediction
        output = self.generator.predict(alpha * real + sigma * noise, timesteps)
        weights = min_snr_weights(self.alphas_cumprod, timesteps, self.snr_gamma, prediction)
        loss = denoising_loss(output, target(real, noise, alpha, sigma, prediction), weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.synchronise(self.trained.parameters())
        norm = nn.utils.clip_grad_norm_(self.trained.parameters(), self.gradient_clip)
        return {"loss_generator": loss.detach(), "gradient_realism": norm}

    def _add(self, hard: list[Tensor], realism_norm: Tensor, bound: float | Tensor) -> dict[str, Tensor]:
        """Add the learner's gradient, shortened to at most `bound` times the denoising gradient."""
        norm = nn.utils.get_total_norm(hard)
        tiny = torch.finfo(norm.dtype).tiny
        scale = (bound * realism_norm / norm.clamp(min=tiny)).clamp(max=1)  # NaN stays NaN, to stop at
        for parameter, gradient in zip(self.trained.parameters(), hard, strict=True):
            assert parameter.grad is not None, "the denoising loss reaches all that is trained"
            parameter.grad.add_(gradient * scale)
        return {"hard_ratio": norm / realism_norm.clamp(min=tiny), "hard_clipped": (scale < 1).float()}

    def modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "ema": self.ema}

    def _learning(self) -> nn.Module:
        """What of G a checkpoint holds."""
        return self.generator

    def state_dict(self) -> dict[str, Any]:
        # What is not trained G and its average have in common, so that the average is its trained part alone.
        return {
            "generator": self._learning().state_dict(),
            "average": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._learning().load_state_dict(state["generator"])
        self.averaged.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_steps = state["num_steps"]


def _average_of(generator: Denoiser) -> Denoiser:
    """A frozen copy, which shares with G the parameters that are not trained."""
    shared = {id(parameter): parameter for parameter in generator.parameters() if not parameter.requires_grad}
    return copy.deepcopy(generator, shared).requires_grad_(False).eval()


def _check_images(real: Tensor, images: Tensor | None, hard_gradient: Tensor | None) -> None:
    for name, other in (("images", images), ("hard_gradient", hard_gradient)):
        if other is not None and other.shape != real.shape:
            raise ValueError(f"{name} must have the shape of real, {tuple(real.shape)}, not {tuple(other.shape)}")
    if hard_gradient is not None and (images is None or not images.requires_grad):
        raise ValueError("hard_gradient needs images with their graph: call the generator outside torch.no_grad()")
